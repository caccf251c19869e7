"""Named settings of a server, per model and card: some come with the console, the others are a person's own."""
