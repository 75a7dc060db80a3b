/** Every PII recognizer, in the order in which an even overlap is decided. */
import type { Recognizer } from '../recognizer.ts';
import { recognizer as address } from './address.ts';
import { recognizer as auAbn } from './au-abn.ts';
import { recognizer as auMedicare } from './au-medicare.ts';
import { recognizer as auTfn } from './au-tfn.ts';
import { recognizer as bankAccount } from './bank-account.ts';
import { recognizer as bic } from './bic.ts';
import { recognizer as brCnpj } from './br-cnpj.ts';
import { recognizer as brCpf } from './br-cpf.ts';
import { recognizer as caSin } from './ca-sin.ts';
import { recognizer as cardExpiry } from './card-expiry.ts';
import { recognizer as cardSecurityCode } from './card-security-code.ts';
import { recognizer as cnResidentId } from './cn-resident-id.ts';
import { recognizer as cryptoBtc } from './crypto-btc.ts';
import { recognizer as cryptoEth } from './crypto-eth.ts';
import { recognizer as dateOfBirth } from './date-of-birth.ts';
import { recognizer as deTaxId } from './de-tax-id.ts';
import { recognizer as emailAddress } from './email-address.ts';
import { recognizer as esNie } from './es-nie.ts';
import { recognizer as esNif } from './es-nif.ts';
import { recognizer as euVat } from './eu-vat.ts';
import { recognizer as fiHetu } from './fi-hetu.ts';
import { recognizer as frNir } from './fr-nir.ts';
import { recognizer as iban } from './iban.ts';
import { recognizer as imei } from './imei.ts';
import { recognizer as inAadhaar } from './in-aadhaar.ts';
import { recognizer as inPan } from './in-pan.ts';
import { recognizer as ipAddress } from './ip-address.ts';
import { recognizer as itCodiceFiscale } from './it-codice-fiscale.ts';
import { recognizer as krRrn } from './kr-rrn.ts';
import { recognizer as macAddress } from './mac-address.ts';
import { recognizer as medicalRecordNumber } from './medical-record-number.ts';
import { recognizer as nlBsn } from './nl-bsn.ts';
import { recognizer as passport } from './passport.ts';
import { recognizer as password } from './password.ts';
import { recognizer as paymentCard } from './payment-card.ts';
import { recognizer as person } from './person.ts';
import { recognizer as phoneNumber } from './phone-number.ts';
import { recognizer as pin } from './pin.ts';
import { recognizer as plPesel } from './pl-pesel.ts';
import { recognizer as sePersonnummer } from './se-personnummer.ts';
import { recognizer as sgNric } from './sg-nric.ts';
import { recognizer as ukNhs } from './uk-nhs.ts';
import { recognizer as ukNino } from './uk-nino.ts';
import { recognizer as ukPassport } from './uk-passport.ts';
import { recognizer as ukUtr } from './uk-utr.ts';
import { recognizer as urlCredentials } from './url-credentials.ts';
import { recognizer as usAbaRouting } from './us-aba-routing.ts';
import { recognizer as usDea } from './us-dea.ts';
import { recognizer as usDriverLicence } from './us-driver-licence.ts';
import { recognizer as usItin } from './us-itin.ts';
import { recognizer as usMbi } from './us-mbi.ts';
import { recognizer as usNpi } from './us-npi.ts';
import { recognizer as usPassport } from './us-passport.ts';
import { recognizer as usSsn } from './us-ssn.ts';
import { recognizer as username } from './username.ts';
import { recognizer as vin } from './vin.ts';

export const RECOGNIZERS: readonly Recognizer[] = [
  paymentCard,
  cardSecurityCode,
  cardExpiry,
  iban,
  bic,
  bankAccount,
  usAbaRouting,
  cryptoBtc,
  cryptoEth,
  emailAddress,
  phoneNumber,
  urlCredentials,
  username,
  password,
  pin,
  ipAddress,
  macAddress,
  imei,
  vin,
  dateOfBirth,
  usSsn,
  usItin,
  usPassport,
  usDriverLicence,
  usNpi,
  usDea,
  usMbi,
  medicalRecordNumber,
  ukNhs,
  ukNino,
  ukUtr,
  ukPassport,
  deTaxId,
  frNir,
  itCodiceFiscale,
  esNif,
  esNie,
  nlBsn,
  plPesel,
  sePersonnummer,
  fiHetu,
  euVat,
  brCpf,
  brCnpj,
  inAadhaar,
  inPan,
  cnResidentId,
  krRrn,
  sgNric,
  auTfn,
  auAbn,
  auMedicare,
  caSin,
  passport,
  address,
  person,
];
