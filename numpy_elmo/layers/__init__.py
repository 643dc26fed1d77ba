"""The arithmetic of ELMo, one layer a file."""
