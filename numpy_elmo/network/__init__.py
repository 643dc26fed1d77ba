"""The layers put together as in the paper.  Touches no file."""
