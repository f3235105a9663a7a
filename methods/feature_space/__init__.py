"""Feature-space inversion: methods whose code has maps of the synthesis network beside the latent."""
