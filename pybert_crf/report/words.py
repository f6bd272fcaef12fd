"""The texts of a report, in English and Chinese."""

from __future__ import annotations

LANGUAGES = {"en": 0, "zh": 1}

_WORDS = {
    "files": ("Data", "数据"),
    "part": ("part", "部分"),
    "sentences": ("sentences", "句子"),
    "units": ("units", "单位"),
    "longest": ("longest sentence", "最长句子"),
    "entities": ("entities", "实体"),
    "hash": (
        "SHA-256 of train and dev as the encoder reads them: ",
        "训练集和开发集（按编码器读到的内容）的 SHA-256：",
    ),
    "messages": ("What was taken for granted", "程序自行判断的事项"),
    "settings": ("Settings", "设置"),
    "changed": ("Options that differ from their defaults:", "与默认值不同的选项："),
    "all": ("All options", "全部选项"),
    "none_changed": ("All options have their defaults.", "所有选项均为默认值。"),
    "kept": ("Kept: epoch {epoch}; {ended}.", "保留第 {epoch} 轮；{ended}。"),
    "model": (
        "{parameters:,} trained weights on {device}; training took {seconds:,.1f} s.",
        "在 {device} 上训练了 {parameters:,} 个参数，用时 {seconds:,.1f} 秒。",
    ),
    "curves": ("Curves", "曲线"),
    "epoch": ("epoch", "轮次"),
    "loss": ("Training loss (nats per unit)", "训练损失（每单位，nat）"),
    "dev_f1": ("F1 on dev; the large dot is the epoch that is kept", "开发集 F1；大圆点为保留的轮次"),
    "dev_f1_by_type": ("F1 on dev by type", "各类型的开发集 F1"),
    "rate": ("Learning rate of the encoder, by step", "编码器的学习率（按步）"),
    "head_rate": ("Learning rate of linear layer and CRF, by step", "线性层和 CRF 的学习率（按步）"),
    "step": ("step", "步"),
    "transitions": ("Transitions of the CRF", "CRF 的转移分数"),
    "transitions_note": (
        "The score of the column's tag after the row's. × marks what the tag scheme forbids.",
        "行标签之后出现列标签的分数。× 表示标签体系不允许的转移。",
    ),
    "too_many": ("Not shown: there are {count:,} tags.", "未显示：共有 {count:,} 个标签。"),
    "start": ("start", "开始"),
    "end": ("end", "结束"),
    "figures": ("Figures", "指标"),
    "type": ("type", "类型"),
    "tag": ("tag", "标签"),
    "precision": ("precision", "精确率"),
    "recall": ("recall", "召回率"),
    "strict_f1": ("strict F1", "严格 F1"),
    "support": ("gold", "标注数"),
    "predicted": ("predicted", "预测数"),
    "correct": ("correct", "正确数"),
    "unseen": (
        "Recall of the {count:,} words that training had not seen: {recall:.4f}",
        "训练中未见过的 {count:,} 个词的召回率：{recall:.4f}",
    ),
    "errors": ("Errors", "错误"),
    "kind": ("what became of it", "结果"),
    "count": ("entities", "实体数"),
    "k_correct": ("found just so", "完全正确"),
    "k_type": ("right boundaries, other type", "边界正确，类型错误"),
    "k_boundaries": ("other boundaries, right type", "边界错误，类型正确"),
    "k_both": ("other boundaries, other type", "边界和类型都错误"),
    "k_missed": ("missed: nothing predicted there", "漏检：该处没有预测"),
    "k_spurious": ("spurious: no gold entity there", "误检：该处没有标注实体"),
    "confusion": ("Confusion of types", "类型混淆"),
    "confusion_note": (
        "Rows are gold types, columns predicted ones. An entity is paired with the one at the same place, or "
        "else with the one that it shares most units with; the diagonal holds other boundaries, too.",
        "行为标注类型，列为预测类型。实体先与位置相同的实体配对，否则与重叠最多的配对；"
        "因此对角线也包含边界不同的实体。",
    ),
    "missed": ("missed", "漏检"),
    "spurious": ("spurious", "误检"),
    "left_out": (
        "The {shown} most frequent of {count:,} types are shown.",
        "显示 {count:,} 种类型中最常见的 {shown} 种。",
    ),
    "calibration": ("Calibration", "校准"),
    "ece": (
        "Expected calibration error of the scores of {count:,} predicted entities: {error:.4f}",
        "{count:,} 个预测实体的分数的期望校准误差：{error:.4f}",
    ),
    "uncalibrated": (
        "Before all scores were divided by the temperature, it was {error:.4f}.",
        "在所有分数除以温度之前为 {error:.4f}。",
    ),
    "reliability": (
        "Share of right entities over their score",
        "实体正确的比例与分数",
    ),
    "reliability_note": (
        "Across: mean score of a bin; up: its share of right entities; the larger a dot the more entities. "
        "On the dashed line the two are equal.",
        "横轴为每一档的平均分数，纵轴为其中正确的比例，点越大实体越多；虚线上两者相等。",
    ),
    "no_entities": ("No entity was predicted.", "没有预测出实体。"),
    "score": ("score", "分数"),
    "mean": ("mean score", "平均分数"),
    "share": ("share right", "正确比例"),
    "worst": ("Sentences with most errors", "错误最多的句子"),
    "worst_note": (
        "{shown} of {count:,} sentences with errors. A dashed border marks an entity that is not "
        "in the other line just so; predicted ones have their scores.",
        "共 {count:,} 个句子有错，显示 {shown} 个。虚线框表示另一行中没有完全相同的实体；预测实体后为分数。",
    ),
    "no_errors": ("No sentence has errors.", "没有出错的句子。"),
    "uncertain": ("Right, but least certain", "正确但最不确定的句子"),
    "gold": ("gold", "标注"),
    "found": ("predicted", "预测"),
    "n_errors": ("errors: {count:,}", "错误数：{count:,}"),
    "lengths": ("Sentences by their number of units", "按单位数统计的句子"),
    "more": ("and more", "及以上"),
    "windows": (
        "Sentences that the encoder reads in more than one window: {count:,}; most windows: {most:,}",
        "编码器需要多个窗口读取的句子：{count:,}；最多窗口数：{most:,}",
    ),
    "files_of": ("Evaluated on {file}", "在 {file} 上的评测"),
    "dev": ("dev", "开发集"),
    "test": ("test", "测试集"),
    "train": ("train", "训练集"),
    "micro": ("micro", "微平均"),
    "macro": ("macro", "宏平均"),
    "accuracy": ("accuracy", "准确率"),
}


class Words:
    """The texts of one language, ``en`` or ``zh``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = LANGUAGES[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, with these values in it."""
        return _WORDS[key][self._column].format(**values)

    def name(self, key: str) -> str:
        """The text of a key if it is known, or else itself: of parts, which may have any name."""
        return self(key) if key in _WORDS else key
