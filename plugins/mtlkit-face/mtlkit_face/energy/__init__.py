"""Energy-based weight analysis of Yin & Liu (TIP 2018): dimensions of x that each task reads."""
