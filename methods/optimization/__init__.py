"""Latent optimisation: the StyleGAN2 projector in W and W+."""
