"""The energy-based weight analysis of Yin & Liu (TIP 2018): what each task reads of x."""
