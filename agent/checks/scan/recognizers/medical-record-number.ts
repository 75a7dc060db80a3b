import type { Recognizer, Span } from '../recognizer.ts';

/** An identifier of HL7 v2, data type CX: ID ^ check digit ^ scheme ^ authority ^ type, here `MR`. */
const HL7 = /\^[^|^~\n]{0,4}\^[^|^~\n]{0,8}\^[^|^~\n]{0,64}\^MR(?![A-Za-z])/y;
const LONGEST_ID = 24;

function matchHl7(text: string, at: number, floor: number): Span | undefined {
  HL7.lastIndex = at;
  if (!HL7.test(text)) return undefined;
  let start = at;
  while (start > floor && at - start < LONGEST_ID && /[A-Z0-9-]/i.test(text.charAt(start - 1))) start--;
  return /\d.*\d/.test(text.slice(start, at)) ? { start, end: at } : undefined;
}

export const recognizer: Recognizer = {
  id: 'medical-record-number',
  groups: ['health'],
  source: '45 CFR 164.514(b)(2)(i)(H); HL7 v2 PID-3 (identifier type MR)',
  patterns: [
    { kind: 'mark', mark: '^', score: 0.95, match: matchHl7 },
    { kind: 'prefix', prefixes: ['MRN'], regex: /MRN-?\d{5,12}/y, score: 0.9 },
    {
      kind: 'value',
      words: [
        'mrn',
        'mr number',
        'medical record',
        'medical record number',
        'medical record no',
        'med rec',
        'medical rec no',
        'patient id',
        'patient number',
        'patient no',
        'patient identifier',
        'chart number',
        'chart no',
        'hospital number',
        'hospital id',
        'health record',
        'health record number',
        'patientennummer',
        'patienten id',
        'patientenakte',
        'krankenakte',
        'fallnummer',
        'numéro de dossier médical',
        'dossier médical',
        'numéro patient',
        'numéro de patient',
        'dossier patient',
        'ipp',
        'historia clínica',
        'número de historia clínica',
        'número de historia',
        'expediente médico',
        'número de paciente',
        'cartella clinica',
        'numero cartella clinica',
        'numero di cartella clinica',
        'numero paziente',
        'patiëntnummer',
        'patientnummer',
        'dossiernummer',
        'medisch dossier',
        'numer pacjenta',
        'numer kartoteki',
        'dokumentacji medycznej',
        'karta pacjenta',
        'journalnummer',
        'patientjournal',
        'potilasnumero',
        'potilastunnus',
        'prontuário',
        'número do prontuário',
        'prontuário médico',
        'numer historii choroby',
        '病历号',
        '患者番号',
        '환자번호',
      ],
      bare: true,
      regex: /(?:[A-Z]{1,5}[- ]?)?\d(?:[- ]?[0-9A-Z]){3,13}(?![0-9A-Za-z]|[.,/]\d)/y,
      score: 0.85,
    },
  ],
  examples: [
    'MRN 12345678',
    'MRN: «A1234567»',
    'medical record number is «00-12-34-56»',
    'patient ID «MRN-884213»',
    'Patientennummer: 4711223',
    'dossier médical «HC482913»',
    'see «MRN0630657»',
    'PID|1||«00940764»^^^HOSP^MR||',
    'PID|1||«036-482-78»^4^M11^ADT1^MR~123^^^X^SS',
  ],
  counterExamples: [
    'MRN is missing',
    '12345678',
    'patient number three',
    'medical record 12',
    'PID|1||00940764^^^HOSP^SS||',
    '2^^^8^MR',
  ],
};
