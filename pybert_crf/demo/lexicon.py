"""Characters and words of the demo corpus: everything the grammar builds names and sentences from.

All names are coined by putting characters together; real companies and public figures that such a combination
could hit by chance are listed in `BLOCKED` and never come out.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# --- people -----------------------------------------------------------------------------------------------
# Many surnames are also ordinary characters (高 in 高兴, 张 in 张开, 方 in 方面, 石 in 石头): on purpose, for
# `frames.PLAIN` uses those words and so no character gives an entity away alone.
SURNAMES = tuple(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶余潘杜戴夏"
)
SURNAMES += tuple("钟汪田任姜范方石谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段钱汤尹黎易常武乔贺赖龚文")
SURNAMES += ("欧阳", "上官", "诸葛", "司徒")
GIVEN = tuple(
    "志建国伟芳丽敏静秀英军杰娟艳勇磊超霞刚桂兰红玉梅春雪晓海波辉宇浩涵欣怡佳琪雨博思远俊峰振华德福家永康"
)
GIVEN += tuple("庆瑞立凯宏光荣启承彦若清婉琴慧娴素珍淑琳楠松柏鹤鸣景昌义仁礼贤良冬岚书禾满远谦诚朗牧舟安宁")

# Transliterated names: any of these characters, then an ending (拉维莫夫); a full name joins two with "·".
FOREIGN = tuple("阿埃巴贝布达德多费戈哈卡科克拉莱洛马米莫纳尼诺帕佩萨塞塔托瓦维沃西伊里罗")
FOREIGN_PERSON_ENDINGS = tuple("夫斯森顿诺奇尔娃曼兹德娜")
FOREIGN_PLACE_ENDINGS = ("亚", "兰", "堡", "尼亚", "维亚", "斯坦", "利亚", "格勒", "维尔", "港")

# --- places -----------------------------------------------------------------------------------------------
PLACE_HEADS = tuple(
    "清云青白东南西北新安永平石金玉龙凤临宁德福宜嘉武怀洪泰兴和松梅桃柳竹桐兰霞月星晴沙双九望"
)
PLACE_TAILS = tuple("河溪江湖海山岭峰川泉塘湾洲阳安宁平昌丰城关桥口原田林源浦岩门坪沟")
SCENERY_TAILS = tuple("龙凤石云月松竹鹿鹰牛霞沙仙")
CITY_SUFFIXES = ("市", "市", "县", "县", "")
TOWN_SUFFIXES = ("镇", "镇", "乡", "村", "村", "区")
SCENERY_SUFFIXES = ("山", "江", "河", "湖", "岛", "岭", "峡", "湾", "水库")

# --- organisations ----------------------------------------------------------------------------------------
BRAND_HEADS = tuple("蓝晨星锦鹤鼎岚翼澄锐宏鑫瑞")
BRAND_TAILS = tuple("达远盛羽禾捷桥鸣澜拓宇创")
TRADES = _words(
    "电子 钢铁 机械 化工 纺织 食品 制药 软件 汽车 建筑 水泥 造纸 航运 旅游 陶瓷 能源 家具 贸易 环保 印刷"
)
FIRM_SUFFIXES = ("公司", "公司", "集团", "有限公司", "股份有限公司", "集团公司", "厂")
BANKS = ("银行", "商业银行", "发展银行", "农业银行", "投资银行")
UNIVERSITIES = _words("大学 师范大学 理工大学 农业大学 医科大学 海洋大学 师范学院 艺术学院")
SCHOOLS = _words("第一中学 第三中学 第二小学 实验小学 中心小学 外国语学校 职业技术学校")
FIELDS = _words("海洋 地质 水稻 气象 考古 林业 能源 材料 交通 历史 水利 环境 农业 生物")
LABS = ("研究所", "研究院", "研究中心", "实验室")
HOSPITALS = _words("人民医院 中心医院 第一医院 第二医院 中医院 儿童医院 妇幼保健院 卫生院")
BODIES = _words("""
    教育局 水利局 环保局 公安局 林业局 卫生局 统计局 旅游局 文化馆 博物馆 图书馆 科技馆
    体育委员会 规划委员会 经济委员会 消费者协会 作家协会 足球协会 红十字会 工商联合会 妇女联合会
""")
PRESSES = _words("出版社 人民出版社 文艺出版社 教育出版社 少年儿童出版社 日报社")
FOREIGN_BODIES = _words("中央银行 国家银行 外交部 财政部 石油公司 贸易委员会 经济研究所")
TEAMS = _words("飞鹰 雄狮 海豚 猛虎 烈火 骏马 白鲸 雪豹")
TEAM_SUFFIXES = ("队", "足球队", "女子排球队", "篮球俱乐部", "足球俱乐部")

# Combinations that exist: well-known cities, companies and people. They are never coined.
BLOCKED = frozenset(
    _words("""
    西安 南昌 南宁 西宁 青海 武昌 平安 金山 锐捷 晨鸣 宏远 宏达 瑞达 鑫达 星宇 锐创 鼎盛
    李宁 王军霞 李晓霞 张怡宁 王楠 谢军 马龙 刘德华 张国荣 刘晓庆 周立波 高晓松 黄宏 范伟 韩红 孙楠 毛宁
    于谦 马丽 李岚清 曾庆红 董建华 胡春华 李建国 刘建超 马凯 马拉多娜 纳达尔 拉莫斯 莫拉莱斯 萨科奇
    """)
)

# --- ordinary words, one tuple a slot of the frames (a word may hold slots itself) --------------------------
WORDS: dict[str, tuple[str, ...]] = {
    slot: _words(text)
    for slot, text in {
        "trade": " ".join(TRADES),
        "day": """今天 昨天 昨晚 前天 上午 今天下午 日前 近日 上周 本月{mday}日 {date} {m}月{mday}日上午
            {m}月{mday}日下午 {m}月{mday}日晚""",
        "date": "{m}月{mday}日 {m}月{mday}日 {year}年{m}月 {year}年{m}月{mday}日",
        "money": "{n}万元 {d}亿元 {n}万美元 {d}00多万元 {d}亿多元",
        "many": "{n} {d}00多 几百 上千 数十 三百多 两千余 五六百 一百二十",
        "event": """经济合作会议 国际书展 农业博览会 青年歌手比赛 环境保护论坛 技术交流会 马拉松赛 摄影展览
            学术讨论会 新闻发布会 花卉节 航空展 中学生运动会 科普周 电影节 龙舟赛 春季运动会 开学典礼""",
        "crop": "水稻 小麦 苹果 茶叶 棉花 玉米 柑橘 马铃薯 蔬菜 葡萄 西瓜 花生 大豆 油菜 核桃",
        "goods": """新型发动机 节能灯 彩色电视机 收割机 家用电器 医疗设备 传感器 童装 自行车 太阳能热水器
            数控机床 计算机软件 玻璃 轮胎 药品""",
        "work": """防洪工程 高速公路 污水处理 铁路大桥 水电站建设 希望小学 地铁二号线 机场扩建
            老城区改造 植树造林""",
        "building": "体育馆 图书馆新馆 水电站 希望小学 污水处理厂 一座石桥 大坝 电影院 养老院 火车站",
        "road": "高速公路 铁路 公路 天然气管道 光缆线路 输水管道 国道 隧道",
        "topic": """科技创新 环境保护 旧城改造 扶贫工作 教育改革 粮食生产 旅游开发 文物保护 食品安全
            就业问题 交通安全 节约用水 农村医疗 职业培训 对外贸易 知识产权""",
        "disaster": "洪水 暴雨 大雪 干旱 台风 地震 沙尘暴 冰雹 山体滑坡 森林大火",
        "mayor": "市长 副市长",
        "magistrate": "县长 副县长",
        "boss": "董事长 总经理 副总经理 总工程师 发言人 经理 技术员 负责人",
        "scholar": "教授 副教授 讲师 博士 学生 教师 老师",
        "expert": "研究员 专家 博士 工程师 技术员 所长 院士",
        "doctor": "院长 主任医师 医生 护士 护士长 大夫 副院长 专家",
        "job": """农民 司机 工程师 作家 演员 歌手 教练 画家 记者 导演 律师 警察 村支书 运动员 诗人
            设计师 科学家 摄影师""",
        "kin": "妻子 丈夫 儿子 女儿 父亲 母亲 弟弟 姐姐 同事 邻居 老同学 战友",
        "say": "说 表示 指出 认为 强调 介绍说 告诉记者 透露 解释说",
        "sport": "乒乓球 羽毛球 女子百米 男子跳高 游泳 射击 举重 体操 网球 围棋 象棋 长跑",
        "good": "显著 明显 积极 良好 可喜 重要 一定",
        "rate": "{d}% {d}.{d}% 一成 两成 近三成 一半 {d}个百分点",
        "film": "《{adj}的{noun}》 《{noun}与{noun}》 《{noun}》 《{noun}之歌》",
        "adj": "遥远 温暖 安静 金色 平凡 难忘 古老 年轻 白色 高高",
        "noun": "山村 河流 秋天 月光 故乡 大海 石桥 田野 少年 春雨 王朝 江水 白杨 城市",
    }.items()
}
