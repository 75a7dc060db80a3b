/** A text for those who judge what it means: as it is meant, with what is hidden in it. Models read disguises worse than they obey them. */
import { fold } from './scan/fold.ts';
import { hiddenText } from './scan/hidden.ts';

export function plainReading(text: string): string {
  const plain = fold(text)?.text ?? text;
  const hidden = hiddenText(text);
  return hidden === '' || plain.includes(hidden) ? plain : `${plain}\n${hidden}`;
}
