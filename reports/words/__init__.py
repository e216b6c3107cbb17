"""Every word of the report in English and Japanese, and the sentences made of data."""
