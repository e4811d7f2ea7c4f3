"""What a fit means, and when it cannot be trusted."""
