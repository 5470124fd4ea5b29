"""CelebA: its official layout, or any subset of it, and photos in the wild aligned as the paper does."""
