"""Links in posts, and images of other sites, with web sites on this machine."""
