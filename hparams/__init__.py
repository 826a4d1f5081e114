"""Every hparams set that ships with t2t_mm; importing this registers them all."""
