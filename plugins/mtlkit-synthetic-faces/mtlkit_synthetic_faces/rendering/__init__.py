"""From a scene to a picture: camera, rasterizer, light and development."""
