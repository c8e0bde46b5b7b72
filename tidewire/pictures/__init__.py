"""Profile pictures and team icons as pixels. Knows files and PNGs; knows no users, rows or requests."""
