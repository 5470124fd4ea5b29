"""The networks: the generators and discriminators of Table 3's rows, and those that judge."""
