// What the page says, in English and Chinese.
const WORDS = {
  en: {
    skip: "Skip to the result", language: "Language", text: "Text", hint: "Ctrl+Enter tags it.",
    model: "Model", least: "Least score", key: "API key", tag: "Tag", file: "A text file, one text a line",
    entities: "Entities",
    choose: "Point at an entity, or move to it with the Tab key, to see what else it could be.",
    save: "Download JSON", readings: "Most probable readings", picture: "Probabilities by unit",
    "picture-note": "The height of a colour is the probability that the unit belongs to an entity of this type.",
    table: "The same as a table", "of-file": "The file", stop: "Stop", "save-lines": "Download JSON lines",
    count: (n, most) => `${n.toLocaleString("en")} of at most ${most.toLocaleString("en")} characters`,
    found: (n) => (n === 1 ? "1 entity found." : `${n} entities found.`),
    none: "No entities.", busy: "Tagging …", start: "start", end: "end", label: "type", surface: "text", score: "score",
    probability: "probability", outside: "no entity", unit: "unit",
    units: "Each unit by itself:", others: "In other readings:", otherwise: "no entity here",
    shown: (n, all) => `The first ${n} of ${all} units are shown.`,
    picture_label: (n, types) => `Bars for ${n} units: probability of ${types}. The table below has the numbers.`,
    progress: (n, all) => `${n} of ${all} texts tagged.`, done: (n) => `All ${n} texts of the file are tagged.`,
    stopped: (n) => `Stopped after ${n} texts.`, first: (n) => `The first ${n} are shown; the download has all.`,
    empty_file: "The file holds no text.", not_utf8: "The file is not UTF-8: save it as UTF-8 first.",
    line: (n) => `Line ${n}: `, unreachable: "The server does not answer.",
    key_needed: "The server asks for an API key: give it above and try again.",
    waiting: (n) => `The server is busy; trying again in ${n} s.`,
    exported: "This model gives entities only: no other readings and no probabilities by unit.",
  },
  zh: {
    skip: "跳到结果", language: "语言", text: "文本", hint: "按 Ctrl+Enter 标注。",
    model: "模型", least: "最低分数", key: "API 密钥", tag: "标注", file: "文本文件，一行一条",
    entities: "实体", choose: "把鼠标移到实体上，或用 Tab 键移到实体，查看其他可能。",
    save: "下载 JSON", readings: "概率最高的读法", picture: "逐单位的概率",
    "picture-note": "颜色的高度是该单位属于这类实体的概率。",
    table: "以表格显示", "of-file": "文件", stop: "停止", "save-lines": "下载 JSON 行",
    count: (n, most) => `${n.toLocaleString("zh")} 个字符，最多 ${most.toLocaleString("zh")} 个`,
    found: (n) => `找到 ${n} 个实体。`,
    none: "没有实体。", busy: "正在标注……", start: "开始", end: "结束", label: "类型", surface: "文本", score: "分数",
    probability: "概率", outside: "非实体", unit: "单位",
    units: "逐个单位：", others: "在其他读法中：", otherwise: "此处没有实体",
    shown: (n, all) => `显示 ${all} 个单位中的前 ${n} 个。`,
    picture_label: (n, types) => `${n} 个单位的柱状图：${types}的概率。数值见下面的表格。`,
    progress: (n, all) => `已标注 ${n}/${all} 条。`, done: (n) => `文件中的 ${n} 条文本已全部标注。`,
    stopped: (n) => `标注 ${n} 条后停止。`, first: (n) => `显示前 ${n} 条；下载的文件包含全部。`,
    empty_file: "文件中没有文本。", not_utf8: "文件不是 UTF-8 编码：请先另存为 UTF-8。",
    line: (n) => `第 ${n} 行：`, unreachable: "服务器没有回应。",
    key_needed: "服务器需要 API 密钥：请在上面填写后重试。",
    waiting: (n) => `服务器繁忙，${n} 秒后重试。`,
    exported: "这个模型只给出实体，没有其他读法和逐单位的概率。",
  },
};

let language = "en";

/** The word or sentence of this name in the chosen language. */
export function word(name, ...values) {
  const found = WORDS[language][name];
  return typeof found === "function" ? found(...values) : found;
}

/** Choose "en" or "zh", and write the words of the page's elements. */
export function speak(chosen) {
  language = chosen === "zh" ? "zh" : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
}

/** The language that the address (?lang=zh) or the browser asks for. */
export function asked() {
  const given = new URLSearchParams(location.search).get("lang") ?? navigator.language;
  return given.toLowerCase().startsWith("zh") ? "zh" : "en";
}
