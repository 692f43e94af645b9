"""The experiments of Yin & Liu (TIP 2018) as one study; see `arms`."""
