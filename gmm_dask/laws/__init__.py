"""Laws that turn counts into weights: free, held, or those of a distribution of copies."""
