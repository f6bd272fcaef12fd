"""Sentence frames of the demo corpus.

One frame a line, without the closing 。 A slot in capitals is an entity (`{PER}`, `{CITY}`; see
`grammar.ENTITY_SLOTS`), one in small letters an ordinary word from `lexicon.WORDS` or a number.
"""

from __future__ import annotations


def _lines(block: str) -> tuple[str, ...]:
    return tuple(line for line in block.split("\n") if line)


NEWS = _lines("""
{MUNI}{mayor}{PER}{day}在{event}上{say}，今后要更加重视{topic}
{COUNTY}{magistrate}{CPER}{day}来到{TOWN}，看望了受灾群众
{PROV}{CITY}{day}发生{disaster}，{TOWN}有{many}户居民被迫转移
{PROV}{CITY}{TOWN}农民{CPER}种了{d}亩{crop}，一年收入{n}元
{PROV}副省长{CPER}、{MUNI}{mayor}{CPER}出席了{work}的开工仪式
{FIRM}{boss}{PER}{say}，公司今年的{goods}产量将增长{rate}
{FIRM}与{FIRM}{day}签订合同，共同开发{goods}
{FIRM}{day}在{CITY}建成投产，年产值达{money}
{FIRM}的{goods}远销{LAND}、{LAND}等国家
{FIRM}因拖欠工资{n}万元，被{CITY}工人{CPER}告上法庭
{BANK}{day}宣布，向{CITY}的{work}提供贷款{money}
{BANK}{boss}{CPER}{say}，银行将降低贷款利率
{BANK}、{BANK}等{win}家单位为{TOWN}捐款{n}万元
{UNIV}{scholar}{PER}{day}发表文章，讨论{topic}
{SCHOOL}校长{CPER}{say}，学校今年将招收{many}名学生
{SCHOOL}{day}隆重举行建校{d}0周年庆祝大会，{many}名师生参加
{UNIV}{scholar}{CPER}、{CPER}和{CPER}合作完成了这项研究
{CPER}毕业于{UNIV}，现在是{LAB}的{expert}
{CPER}考上了{SCHOOL}，全家人都很高兴
{LAB}的{expert}{PER}在{NATURE}发现了一种珍稀植物
{LAB}{day}公布的数据显示，{NATURE}的水质有了{good}改善
{LAB}同{UNIV}联合培育的{crop}新品种，在{CITY}试种成功
{HOSPITAL}{doctor}{CPER}{say}，孩子的病情已经稳定
{HOSPITAL}为{many}名老人做了检查，{doctor}{CPER}忙到深夜
{CPER}被送到{HOSPITAL}，经抢救脱离了危险
{BODY}{day}发出通知，要求各单位做好{topic}
{BODY}主任{CPER}{say}，{topic}取得了{good}成绩
{BODY}和{BODY}在{CITY}共同举办{event}
据{BODY}统计，去年{CITY}的{crop}产量比上年增长{rate}
{TEAM}{day}在主场以{win}比{lose}战胜{TEAM}，{PER}攻入两球
{TEAM}主教练{PER}赛后{say}，队员们的表现令人满意
在{LAND}举行的{sport}比赛中，{CITY}选手{CPER}获得金牌
{CITY}{CPER}、{CITY}{CPER}和{CITY}{CPER}分获{sport}前三名
{sport}名将{PER}以{win}比{lose}击败{LAND}选手{FPER}
{LAND}总统{FPER}{day}会见了来访的{LAND}客人
{LAND}外长{FPER}抵达{LAND}，开始为期{d}天的访问
{LAND}与{LAND}{day}就{topic}举行会谈，双方取得了{good}进展
{FORG}{day}宣布，{LAND}去年的石油出口下降了{rate}
{FORG}发言人{FPER}{say}，谈判仍在进行
{LAND}{job}{FPER}第一次来到{CITY}，就被{NATURE}的美景吸引住了
{LAND}北部遭到{disaster}袭击，至少有{many}人受伤
从{CITY}到{CITY}的{road}全长{n}公里，{year}年建成通车
{NATURE}位于{CITY}和{CITY}之间，每年吸引{many}名游客
{NATURE}上游连降大雨，{CITY}水位超过警戒线{d}.{d}米
沿着{NATURE}往东走，就到了{TOWN}
{job}{PER}花了{d}年时间，走遍了{NATURE}两岸
{PER}是{LOC}人，{year}年出生，从小喜欢{sport}
{PER}的{kin}{PER}{say}，那一年冬天特别冷
{job}{PER}的新书{film}由{PRESS}出版
由{PER}导演、{PER}主演的影片{film}{day}在{LOC}首映
{PER}、{PER}、{PER}等{many}名代表参加了讨论
{PER}同志{day}在{CITY}病逝，享年{age}岁
{PER}先生和{PER}女士向{SCHOOL}捐赠图书{n}册
记者在{TOWN}看到，村民{CPER}正忙着收{crop}
在{TOWN}的集市上，{CPER}家的{crop}卖得最快
{TOWN}离{CITY}只有{d}公里，{day}通了公路
{TOWN}村民{CPER}和{kin}承包了{n}亩荒山
家住{TOWN}的{CPER}{say}：“{crop}的价格比去年高。”
“这里的水很清。”{PER}{say}，“我常常想起{LOC}。”
{PER}问：“去{LOC}的路怎么走？”
{CITY}今年安排{money}用于{work}
{CITY}晴转多云，{CITY}小雨，{CITY}阴有大风
{CITY}、{CITY}、{CITY}等地{day}普降大雪
{CITY}有{many}名{job}参加{event}，{ORG}负责组织
{ORG}近日聘请{PER}为顾问
{ORG}和{CITY}的合作已有{d}年
{ORG}派出{many}人赶赴{LOC}抗击{disaster}
{ORG}{day}迁到{LOC}，新楼共有{d}层
经{ORG}同意，{PER}调往{LOC}工作
{year}年，{PER}离开{LOC}，到{ORG}当{job}
{ORG}的{CPER}刚从{LOC}回来，马上又投入工作
{LOC}的{CPER}来信说，他们那里的{crop}丰收了
来自{LOC}、{LOC}的{many}名{job}参观了{ORG}
{day}，{LOC}举行{event}，{PER}应邀参加
去年{m}月，{CPER}在{ORG}门口遇到了老朋友{CPER}
{crop}大王{CPER}的名字在{CITY}家喻户晓
""")

# Surname-like and suffix-like characters inside ordinary words: none of these holds an entity.
PLAIN = _lines("""
公司今年的任务是提高{goods}的质量，打开国际市场
这家公司去年亏损{money}，今年{m}月才开始盈利
一家{trade}公司的{boss}{say}，市场竞争越来越激烈
全国已有{n}所大学开设了这门课程
大学毕业以后，他在一家银行当过{d}年职员
各家银行的存款利率将从{m}月{mday}日起下调
医院里，{many}名{doctor}正在高兴地包饺子
这家医院的{doctor}{say}，病人{day}就能出院
全省{many}个县的{crop}喜获丰收
市场上的{crop}很便宜，一斤才{d}元{d}角
他高兴地张开双臂，向人群跑去
孩子们高高兴兴地张开嘴，让医生检查牙齿
这座古墓属于一个古老的王朝，距今已有{n}年
王朝更替，江山依旧，这部{film}讲的就是那段历史
江水一天天上涨，两岸的村民{day}全部转移
山村的夜很安静，只有河水在流
黄昏时分，白色的石头在田野里格外显眼
周末的马路上，车辆比平时多了{rate}
方案已经通过，任何单位和个人都要严格执行
万事开头难，常常要花{d}年时间才能成功
如何解决{topic}中的困难，是大家关心的方面
在这方面，我们还有{many}项工作要做
许多{job}认为，{topic}关系到千家万户
研究所的{job}们{day}开始了{d}天的野外考察
委员会由{d}名{job}组成，每年开会{d}次
县里决定投资{money}，修建{building}
省里和市里都很重视{topic}，{day}专门开了会
村里的老人{say}，过去这里连一条像样的路都没有
镇上新开了一家书店，卖{n}种图书
金秋{m}月，正是{crop}成熟的季节
任务重，时间紧，{many}名工人连续干了{d}天
高速发展的{topic}给{job}们带来了新的机会
何时下雨谁也说不准，{crop}已经旱了{d}天
他的{kin}是一名{job}，平时工作很忙
余下的{n}元钱，他全部寄给了{kin}
这部名叫{film}的小说，{year}年印了{n}册
武术表演和文艺节目让{many}名观众大饱眼福
石油价格{day}上涨了{rate}，黄金价格下跌了{rate}
林区的{job}常年与山林为伴，{d}年没有发生过火灾
龙舟赛吸引了{many}名市民，江边人山人海
唐诗和宋词是孩子们最喜欢的课程
温度降到零下{d}度，湖面结了一层厚厚的冰
有{rate}的居民{say}，小区的环境比过去好多了
国家队{day}以{win}比{lose}输给了对手，教练{say}要认真总结
易拉罐、旧报纸也能换钱，一年下来就是{n}元
""")

OPENERS = _lines("""
据悉，
据了解，
据介绍，
据当地媒体报道，
记者获悉，
记者了解到，
本报讯
另外，
与此同时，
本报{CITY}{m}月{mday}日电
本报{CITY}{m}月{mday}日讯记者{PER}报道：
本报{LAND}{m}月{mday}日电记者{CPER}报道：
据记者{CPER}、{CPER}报道，
据{PER}介绍，
据{ORG}消息，
{LOC}消息：
""")

TAILS = _lines("""
引起广泛关注
当地报纸作了详细报道
消息很快传遍了{LOC}
{LOC}的报纸也作了报道
{PER}把这件事写进了书里
{CPER}至今记得那一天
{job}{PER}也听说了这件事
{ORG}证实了这一消息
{ORG}的{CPER}作了记录
这在{LOC}还是第一次听说
""")

# Raw text for the demo to tag after training, entities marked as [text|TYPE]: none of them is in any part.
UNSEEN_MARKED = (
    "[云岭市|LOC]市长[顾思远|PER]在[清泉大学|ORG]的毕业典礼上说，年轻人要常常走进山村。",
    "本报[望湖|LOC]4月9日电记者[汤若舟|PER]报道：[望湖海洋研究所|ORG]的专家在[白鹿岛|LOC]发现了一种新的植物。",
    "[蓝桥软件有限公司|ORG]和[永川商业银行|ORG]昨天签订协议，公司发言人[石满|PER]对市场前景表示乐观。",
    "[卡洛维亚|LOC]作家[马里诺·托曼|PER]第一次来到[桃溪村|LOC]，同村民[白春禾|PER]、[白秀禾|PER]一起种茶。",
    "他高兴地张开双臂：“我们公司的电视机已经打进了国际市场。”",
)
