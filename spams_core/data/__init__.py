"""What is observed and what is known: sequences, subjects, synthetic bodies, fits."""
