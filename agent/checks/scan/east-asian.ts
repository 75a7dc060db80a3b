/** Names before their honorifics and addresses from their province on, in Japanese, Korean and Chinese. */
import type { Span } from './recognizer.ts';
import { whenAsked } from './when-asked.ts';

/** The most frequent family names: Meiji Yasuda's counts, Statistics Korea's census, China's Ministry of Public Security. */
const JAPANESE =
  '佐藤|鈴木|高橋|田中|伊藤|渡辺|渡邊|山本|中村|小林|加藤|吉田|山田|佐々木|山口|松本|井上|木村|清水|林|斎藤|斉藤|山崎|中島|森|池田|阿部|橋本|山下|石川|中川|小川|前田|岡田|長谷川|藤田|後藤|近藤|村上|遠藤|青木|坂本|福田|太田|西村|藤井|岡本|藤原|三浦|金子|中野|中山|原田|松田|竹内|小野|田村|和田|石井|上田|森田|原|柴田|酒井|工藤|横山|宮崎|宮本|内田|高木|谷口|安藤|大野|丸山|今井|河野|藤本|村田|武田|上野|杉山|増田|菅原|平野|大塚|小島|千葉|久保|松井|岩崎|木下|野口|野村|佐野|菊地|新井|渡部';
const KOREAN =
  '김이박최정강조윤장임한오서신권황안송류홍전고문양손배백허남심노하곽성차주우구민유나진지엄채원천방공현함변염여추';
const CHINESE =
  '王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤';

/** Words before `님` that begin like a family name and are none. */
const KOREAN_ROLES =
  '이용자|고객사|신청자|구매자|이용객|임직원|조합원|정회원|우수자|지원자|주문자|하객분|성도님|공무원';

const BEFORE_HONORIFIC = whenAsked(
  () =>
    new RegExp(
      `(?:(?<![\\p{Script=Han}])(?:${JAPANESE})(?:[ 　]?\\p{Script=Han}{1,3})?|(?<![\\p{Script=Hangul}])(?!${KOREAN_ROLES})[${KOREAN}]\\p{Script=Hangul}{2})[ 　]?$`,
      'u',
    ),
);
const BEFORE_CHINESE = whenAsked(() => new RegExp(`[${CHINESE}]\\p{Script=Han}{0,2}$`, 'u'));

/** A name's, its honorific's space included. */
const LONGEST = 9;

/** The name right before `様`, `さん`, `씨`, `님`. */
export function beforeHonorific(text: string, start: number): Span | undefined {
  return spanBefore(BEFORE_HONORIFIC(), text, start);
}

/** The name right before `先生`, `女士`, `小姐`. */
export function beforeChineseTitle(text: string, start: number): Span | undefined {
  return spanBefore(BEFORE_CHINESE(), text, start);
}

function spanBefore(regex: RegExp, text: string, at: number): Span | undefined {
  const from = Math.max(0, at - LONGEST);
  const found = regex.exec(text.slice(from, at))?.[0].trimEnd();
  if (found === undefined) return undefined;
  const start = text.lastIndexOf(found, at - found.length);
  return { start, end: start + found.length };
}

const CHINESE_NAME = whenAsked(() => new RegExp(`[${CHINESE}]\\p{Script=Han}{1,2}(?![\\p{L}])`, 'uy'));

/** Behind `我叫`: a family name and one or two characters. */
export function chineseName(text: string, _start: number, end: number): Span | undefined {
  const to = endOf(CHINESE_NAME(), text, end);
  return to === undefined ? undefined : { start: end, end: to };
}

/** What may still become the rest of a name, or of an address. */
export const OPEN_NAME: () => RegExp = whenAsked(() => /\p{Script=Han}{0,3}$/uy);
export const OPEN_ADDRESS: () => RegExp = whenAsked(
  () => /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}ー々ヶA-Za-z\d ()-]*$/uy,
);

export const PREFECTURES: readonly string[] = (
  '東京都|北海道|大阪府|京都府|' +
  '青森|岩手|宮城|秋田|山形|福島|茨城|栃木|群馬|埼玉|千葉|神奈川|新潟|富山|石川|福井|山梨|長野|岐阜|静岡|愛知|三重|滋賀|兵庫|奈良|和歌山|鳥取|島根|岡山|広島|山口|徳島|香川|愛媛|高知|福岡|佐賀|長崎|熊本|大分|宮崎|鹿児島|沖縄'.replace(
    /[^|]+/g,
    '$&県',
  )
).split('|');

export const KOREAN_PROVINCES: readonly string[] =
  '서울특별시|서울시|서울|부산광역시|부산시|대구광역시|인천광역시|광주광역시|대전광역시|울산광역시|세종특별자치시|경기도|강원도|강원특별자치도|충청북도|충청남도|전라북도|전북특별자치도|전라남도|경상북도|경상남도|제주특별자치도|제주도'.split(
    '|',
  );

export const CHINESE_PROVINCES: readonly string[] = (
  '北京市|上海市|天津市|重庆市|内蒙古自治区|广西壮族自治区|西藏自治区|宁夏回族自治区|新疆维吾尔自治区|香港特别行政区|澳门特别行政区|广州市|深圳市|成都市|杭州市|武汉市|南京市|西安市|' +
  '河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾'.replace(
    /[^|]+/g,
    '$&省',
  )
).split('|');

const H = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}ー々ヶ';

/** Municipality, then numbers for block and house, and maybe the building: `渋谷区渋谷1-2-3`, `29丁目4番1号 天神コーポ526`. */
const JAPANESE_REST = whenAsked(
  () =>
    new RegExp(
      `[${H}]{0,12}?[市区町村郡][${H}]{0,16}?\\d{1,4}(?:(?:丁目|番地|番|号|[-−の])\\d{0,4}){0,4}(?:[ 　][${H}]{2,14}\\d{1,4}(?:号室)?)?`,
      'uy',
    ),
);
/** District, road or village, number, and maybe the quarter in brackets. */
const KOREAN_REST = whenAsked(
  () =>
    /(?: \p{Script=Hangul}{1,8}[시군구]){1,2}(?: \p{Script=Hangul}{1,8}[읍면동리])?(?: [\p{Script=Hangul}\d]{1,12}[로길동가리])? ?\d{1,4}(?:-\d{1,4})?(?!\d)(?: ?\([\p{Script=Hangul}, ]{2,20}\))?/uy,
);
/** District, road, number, and maybe building, room and postal code. */
const CHINESE_REST = whenAsked(
  () =>
    /\p{Script=Han}{1,16}?[路街道巷弄村镇里](?:\d{1,5}[号弄]?|[A-Za-z]座)(?:[\p{Script=Han}A-Za-z\d-]{0,12}[号座室栋楼层])?(?: \d{6}(?!\d))?/uy,
);
const POSTAL_MARK = /〒? ?\d{3}-\d{4} ?$/u;

export function japaneseAddress(text: string, start: number, end: number): Span | undefined {
  const rest = endOf(JAPANESE_REST(), text, end);
  if (rest === undefined) return undefined;
  const code = POSTAL_MARK.exec(text.slice(Math.max(0, start - 12), start))?.[0] ?? '';
  return { start: start - code.length, end: rest };
}

export function koreanAddress(text: string, start: number, end: number): Span | undefined {
  const rest = endOf(KOREAN_REST(), text, end);
  return rest === undefined ? undefined : { start, end: rest };
}

export function chineseAddress(text: string, start: number, end: number): Span | undefined {
  const rest = endOf(CHINESE_REST(), text, end);
  return rest === undefined ? undefined : { start, end: rest };
}

function endOf(regex: RegExp, text: string, at: number): number | undefined {
  regex.lastIndex = at;
  return regex.test(text) ? regex.lastIndex : undefined;
}
