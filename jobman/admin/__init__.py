"""What an administrator sets up once for a cluster's users."""
