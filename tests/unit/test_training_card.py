import pandas as pd

from methods.training.card import images_a_step


def test_a_card_counts_the_images_of_all_processes() -> None:
    """Two processes with batches of 4, logged at steps 49 and 99, and a validation after them."""
    rows = pd.DataFrame({"step": [49, 99, 99], "images": [400.0, 800.0, None]})
    assert images_a_step(rows, 4) == 8
    assert images_a_step(pd.DataFrame(), 4) == images_a_step(rows.iloc[2:], 4) == 4
