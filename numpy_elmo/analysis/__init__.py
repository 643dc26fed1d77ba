"""What one does with a loaded model: spans, neighbours, plots, verification."""
