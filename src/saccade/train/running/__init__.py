"""What surrounds a run: its folder, its checkpoint, what it shows and what it leaves."""
