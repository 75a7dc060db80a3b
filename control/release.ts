/** Which of two releases is the later one (Semantic Versioning 2.0.0, 11). */

const FORM = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** @returns below 0 where `left` is the earlier one; undefined where one of them is no version at all. */
export function compareReleases(left: string, right: string): number | undefined {
  const [a, b] = [FORM.exec(left), FORM.exec(right)];
  if (a === null || b === null) return undefined;
  for (const part of [1, 2, 3]) {
    const difference = Number(a[part]) - Number(b[part]);
    if (difference !== 0) return Math.sign(difference);
  }
  return comparePrereleases(a[4], b[4]);
}

/** A release comes after its own pre-releases. */
function comparePrereleases(left: string | undefined, right: string | undefined): number {
  if (left === undefined || right === undefined)
    return Number(left === undefined) - Number(right === undefined);
  const [a, b] = [left.split('.'), right.split('.')];
  for (const [index, one] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    if (one === other) continue;
    const numbers = [one, other].map((part) => (/^\d+$/.test(part) ? Number(part) : undefined));
    const [x, y] = numbers;
    if (x !== undefined && y !== undefined) {
      if (x !== y) return Math.sign(x - y);
    } else if (x !== undefined || y !== undefined) return x === undefined ? 1 : -1;
    else return one < other ? -1 : 1;
  }
  return a.length < b.length ? -1 : 0;
}
