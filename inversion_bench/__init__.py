"""What all packages of the suite share; it imports none of them and nothing heavy."""
