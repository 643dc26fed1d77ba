"""The arithmetic of ELMo, one layer per file."""
