"""Arrays in messages: what they must look like, and where their bytes lie."""
