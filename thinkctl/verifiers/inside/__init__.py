"""What runs inside the sandbox: standard library only, read as text and started there, never imported outside."""
