"""H&M Personalized Fashion Recommendations: purchases by day, customers, articles and their images.

Published at https://www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations/data.
Keys such as '0108775015' begin with a zero and are text. Left out: the price of a purchase (a drawn
row has none), postal codes, the numbers beside the articles' names, sample_submission.csv.
"""

from pathlib import Path

from fusefront.datasets.adapters.layout import HISTORY, checked, need, own_vectors
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "H&M"
LOG, USERS, ITEMS = "transactions_train.csv", "customers.csv", "articles.csv"
USER_FIELDS = ("FN", "Active", "club_member_status", "fashion_news_frequency")
ITEM_FIELDS = (
    "product_code",
    "product_type_name",
    "product_group_name",
    "graphical_appearance_name",
    "colour_group_name",
    "perceived_colour_value_name",
    "perceived_colour_master_name",
    "department_name",
    "index_name",
    "index_group_name",
    "section_name",
    "garment_group_name",
)


def propose(folder: Path) -> DatasetSpec:
    """Purchases are positives, four popular negatives each; a split by day."""
    need(folder, LAYOUT, LOG, USERS, ITEMS)
    users: list[Json] = [{"column": name} for name in USER_FIELDS]
    users.append({"column": "age", "type": "number"})
    raw: dict[str, Json] = {
        "name": "hm",
        "interactions": {"path": LOG},
        "columns": {"user": "customer_id", "item": "article_id", "timestamp": "t_dat"},
        "history": {"from": "log", "max_length": HISTORY},
        "request_fields": [{"column": "sales_channel_id"}],
        "users": {"path": USERS, "key": "customer_id", "fields": users},
        "items": {
            "path": ITEMS,
            "key": "article_id",
            "fields": [{"column": name} for name in ITEM_FIELDS],
        },
        "modalities": own_vectors(folder) or _raw_modalities(folder),
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
        "negatives": {"per_positive": 4, "draw": "popularity"},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def _raw_modalities(folder: Path) -> dict[str, Json]:
    """The descriptions and, where they were unpacked, the images, for a packaged encoder."""
    modalities: dict[str, Json] = {"text": {"column": "detail_desc", "encode": "text"}}
    if (folder / "images").is_dir():
        modalities["image"] = {"path": "images/{key:.3}/{key}.jpg", "encode": "image"}
    return modalities
