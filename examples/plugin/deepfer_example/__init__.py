"""What a package of your own can add to deepfer."""
