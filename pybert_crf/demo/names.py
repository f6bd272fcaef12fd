"""Coins the people, places and organisations of one part of the demo corpus."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from pybert_crf.demo import lexicon

PARTS = ("train", "dev", "test")
_BUCKETS = {"train": range(70), "dev": range(70, 85), "test": range(85, 100)}  # of crc32(name) % 100


class Dice:
    """Choices drawn through `Random.random` alone: Python promises that its sequence never changes."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self._rng.random() < probability

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._rng.random() * (high - low + 1))

    def pick(self, items: Sequence[str]) -> str:
        """One of the items."""
        return items[self.number(0, len(items) - 1)]


class Namer:
    """Coins names that belong to one of `PARTS`: its methods are the entity slots of `frames`.

    What is coined freely (a person's name, a brand, the root 清河 of 清河县 and 清河大学) belongs to the part
    that a hash of its characters picks, so no two parts share a root.
    """

    def __init__(self, dice: Dice, part: str) -> None:
        self._dice = dice
        self._buckets = _BUCKETS[part]

    def _coin(self, *columns: Sequence[str]) -> str:
        """One entry of each column: a name of this part, not blocked, no character twice in a row."""
        while True:
            name = "".join(self._dice.pick(column) for column in columns)
            bucket = zlib.crc32(name.encode()) % 100  # not hash(): that differs from one run to the next
            stutters = any(one == following for one, following in pairwise(name))
            if bucket in self._buckets and not stutters and lexicon.BLOCKED.isdisjoint(name.split("·")):
                return name

    def _foreign(self, low: int, high: int) -> tuple[Sequence[str], ...]:
        """Columns for low to high transliterating characters."""
        return (lexicon.FOREIGN,) * self._dice.number(low, high)

    # --- people -------------------------------------------------------------------------------------------

    def chinese_person(self) -> str:
        """王秀兰, 王波, 欧阳景行."""
        given = (lexicon.GIVEN,) * (1 if self._dice.chance(0.3) else 2)
        return self._coin(lexicon.SURNAMES, *given)

    def foreign_person(self) -> str:
        """拉维莫夫, 科塔·拉维莫夫."""
        last = (*self._foreign(1, 3), lexicon.FOREIGN_PERSON_ENDINGS)
        if self._dice.chance(0.4):
            return self._coin(lexicon.FOREIGN, *last)
        return self._coin(*self._foreign(1, 3), lexicon.FOREIGN_PERSON_ENDINGS, ("·",), *last)

    def person(self) -> str:
        """A person of any kind."""
        return self.foreign_person() if self._dice.chance(0.2) else self.chinese_person()

    # --- places -------------------------------------------------------------------------------------------

    def _root(self) -> str:
        return self._coin(lexicon.PLACE_HEADS, lexicon.PLACE_TAILS)

    def province(self) -> str:
        """云川省."""
        return self._root() + "省"

    def city(self) -> str:
        """清河市, 清河县, and often 清河 alone."""
        return self._root() + self._dice.pick(lexicon.CITY_SUFFIXES)

    def municipality(self) -> str:
        """清河市, or 清河 alone before 市长."""
        return self._root() + self._dice.pick(("市", ""))

    def county(self) -> str:
        """清河县, or 清河 alone before 县长."""
        return self._root() + self._dice.pick(("县", ""))

    def town(self) -> str:
        """柳塘村, 石桥镇."""
        return self._root() + self._dice.pick(lexicon.TOWN_SUFFIXES)

    def scenery(self) -> str:
        """玉龙山, 双凤河."""
        return self._coin(lexicon.PLACE_HEADS, lexicon.SCENERY_TAILS) + self._dice.pick(
            lexicon.SCENERY_SUFFIXES
        )

    def land(self) -> str:
        """A foreign country or city: 科塔尼亚."""
        return self._coin(*self._foreign(2, 3), lexicon.FOREIGN_PLACE_ENDINGS)

    def place(self) -> str:
        """A place where people come from and things happen."""
        kinds = (self.city, self.city, self.town, self.land)
        return kinds[self._dice.number(0, len(kinds) - 1)]()

    # --- organisations: a place or a brand first, then a trade, then what kind of organisation --------------

    def _brand(self) -> str:
        return self._coin(lexicon.BRAND_HEADS, lexicon.BRAND_TAILS)

    def _district(self) -> str:
        """The place an institution is named after: most often the root alone."""
        return self._root() if self._dice.chance(0.6) else self._root() + self._dice.pick(("市", "县", "省"))

    def firm(self) -> str:
        """蓝桥电子公司, 清河蓝桥集团, 清河钢铁厂."""
        pick, chance = self._dice.pick, self._dice.chance
        if chance(0.25):
            return self._root() + pick(lexicon.TRADES) + pick(lexicon.FIRM_SUFFIXES)
        place = self._root() if chance(0.3) else ""
        trade = pick(lexicon.TRADES) if chance(0.7) else ""
        return place + self._brand() + trade + pick(lexicon.FIRM_SUFFIXES)

    def bank(self) -> str:
        """清河商业银行, 蓝桥银行."""
        owner = self._brand() if self._dice.chance(0.3) else self._root()
        return owner + self._dice.pick(lexicon.BANKS)

    def school(self) -> str:
        """A school of any kind: 清河县第一中学."""
        return (
            self.university()
            if self._dice.chance(0.5)
            else self._district() + self._dice.pick(lexicon.SCHOOLS)
        )

    def university(self) -> str:
        """清河师范大学."""
        return self._district() + self._dice.pick(lexicon.UNIVERSITIES)

    def lab(self) -> str:
        """清河省水稻研究所."""
        return self._district() + self._dice.pick(lexicon.FIELDS) + self._dice.pick(lexicon.LABS)

    def hospital(self) -> str:
        """清河县人民医院, 石桥镇卫生院."""
        place = self.town() if self._dice.chance(0.2) else self._district()
        return place + self._dice.pick(lexicon.HOSPITALS)

    def body(self) -> str:
        """清河市教育局, 清河日报社."""
        return self._district() + self._dice.pick(lexicon.BODIES)

    def press(self) -> str:
        """清河出版社."""
        return self._root() + self._dice.pick(lexicon.PRESSES)

    def foreign_body(self) -> str:
        """科塔尼亚中央银行."""
        return self.land() + self._dice.pick(lexicon.FOREIGN_BODIES)

    def team(self) -> str:
        """清河飞鹰队."""
        return self._root() + self._dice.pick(lexicon.TEAMS) + self._dice.pick(lexicon.TEAM_SUFFIXES)

    def organisation(self) -> str:
        """An organisation of any kind."""
        kinds = (self.firm, self.bank, self.school, self.lab, self.hospital, self.body, self.team)
        return kinds[self._dice.number(0, len(kinds) - 1)]()
