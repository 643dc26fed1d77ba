"""The layers put together as in the paper; nothing here touches a file."""
