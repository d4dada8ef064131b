"""The detector: backbone + memory bank + calibration; what is fitted, saved, registered and promoted."""
