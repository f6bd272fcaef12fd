"""``python -m pybert_crf``, and through it ``torchrun -m pybert_crf train …``."""

from pybert_crf.cli import main

if __name__ == "__main__":
    main()
