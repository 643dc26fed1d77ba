"""Drop-in replacements for the packages that ran ELMo before: the same names and arguments, NumPy arrays out."""
