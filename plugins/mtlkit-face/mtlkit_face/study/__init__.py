"""The experiments of Yin & Liu (TIP 2018) as one study; `arms` lists them."""
