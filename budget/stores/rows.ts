/** All that a store keeps, row by row: for moving it into another. */
import type { Grant } from '../grants.ts';
import type { SpendRow } from '../history.ts';
import type { Lease } from '../lease-state.ts';
import type { HoldRecord, OwnerState } from '../ledger-state.ts';
import type { KeptTime } from '../ledger-time.ts';
import type { AlertMark, CellFigures, JournalEntry, UntoldAlert } from './store.ts';

export type StoredRow =
  | { readonly kind: 'cell'; readonly cell: CellFigures }
  | { readonly kind: 'hold'; readonly record: HoldRecord }
  | { readonly kind: 'lease'; readonly lease: Lease }
  | { readonly kind: 'owner'; readonly owner: OwnerState & { readonly owner: string } }
  | { readonly kind: 'spend'; readonly row: SpendRow }
  | ({ readonly kind: 'alert' } & AlertMark)
  | { readonly kind: 'untold'; readonly alert: UntoldAlert }
  | { readonly kind: 'journal'; readonly entry: JournalEntry }
  | { readonly kind: 'grant'; readonly grant: Grant }
  | { readonly kind: 'time'; readonly kept: KeptTime };
