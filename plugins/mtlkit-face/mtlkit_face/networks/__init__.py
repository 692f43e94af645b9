"""The networks of Yin & Liu (TIP 2018)."""
