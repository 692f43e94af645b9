"""The renderer: camera, rasterizer, light and development."""
