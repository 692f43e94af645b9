"""Networks of Yin & Liu (TIP 2018)."""
