"""All texts of the report in English and Japanese, and the sentences made from data."""
