"""Every problem that ships with t2t_mm; importing this registers them all."""
