"""What slots share, and what each adds."""
