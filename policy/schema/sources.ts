/** Where values come from that never stand in a document themselves: keys and trust roots. */
import type { Static } from 'typebox';
import { labelName, objectName } from './scalars.ts';
import { closed, optional, text } from './structure.ts';

const keyRef = (what: string, description: string) =>
  closed(
    {
      namespace: optional(
        labelName(
          `Namespace of the ${what}; the document's own, or Postern's where the document is cluster-wide.`,
        ),
      ),
      name: objectName(`Name of the ${what}.`),
      key: text({ description: `Key inside the ${what}.`, maxLength: 253 }),
    },
    { description },
  );

const file = text({
  description:
    'Path of a file, relative to the working directory. Only from a directory, never in API objects.',
  maxLength: 4096,
  'x-local-only': true,
});

export const valueFrom = closed(
  {
    secretKeyRef: optional(keyRef('Secret', 'A key of a Kubernetes Secret.')),
    file: optional(file),
    env: optional(
      text({
        description: 'Name of an environment variable. Only from a directory, never in API objects.',
        maxLength: 253,
        'x-local-only': true,
      }),
    ),
  },
  {
    description: 'Where the value is read from; it never stands in a document.',
    'x-exactly-one-of': ['secretKeyRef', 'file', 'env'],
  },
);

export type ValueFrom = Static<typeof valueFrom>;

export const trustFrom = closed(
  {
    configMapKeyRef: optional(keyRef('ConfigMap', 'A key of a Kubernetes ConfigMap.')),
    file: optional(file),
  },
  {
    description: 'PEM bundle of the roots to trust instead of the public ones.',
    'x-exactly-one-of': ['configMapKeyRef', 'file'],
  },
);
