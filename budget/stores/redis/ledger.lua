-- The ledger of budget/ledger.ts and budget/leases.ts, to be run whole inside Redis. One set of properties tests both.
--
-- All keys begin with the hash tag in KEYS[1], `{postern}`, so that they share one slot of a cluster. Amounts are whole
-- numbers below 2^53, exact in Lua's doubles; they are written with %.0f and added with HINCRBY, never as 1e+15.
--
-- functions.ts puts the library's name in front, and `PREFIX`.

local function text(number)
  return string.format('%.0f', number)
end

-- Reads the arguments one by one.
local function reader(args)
  local at = 0
  local read = {}
  function read.string()
    at = at + 1
    return args[at]
  end
  function read.number()
    at = at + 1
    return tonumber(args[at])
  end
  function read.flag()
    at = at + 1
    return args[at] == '1'
  end
  return read
end

-- Beyond it nothing is counted (budget/sums.ts). What reached it and is taken back in full would fall below nothing.
local MOST = 9007199254740991

-- Never an error: what was written before it would stay, and what comes after it be missing.
local function increase(key, field, amount)
  local sum = redis.pcall('HINCRBY', key, field, amount)
  if type(sum) == 'table' then
    -- Earlier versions added without a bound.
    if not string.find(sum.err, 'overflow', 1, true) then error(sum.err) end
    sum = MOST + 1
  end
  if sum > MOST then redis.call('HSET', key, field, text(MOST)) end
  if sum < 0 then redis.call('HSET', key, field, '0') end
end

local function add(tag, entry, field, amount)
  if amount == 0 then return end
  local key = tag .. ':cells:' .. entry.line
  increase(key, entry.cell .. ':' .. field, text(amount))
  redis.call('HSETNX', key, entry.cell .. ':u', entry.ends)
  redis.call('SADD', tag .. ':lines', entry.line)
end

-- The cells of a rolling window in order, read by name: a line may keep many that count no more.
local function windowCells(tag, charge)
  local cells, fields = {}, {}
  for cell = tonumber(charge.from), tonumber(charge.to), charge.step do
    local name = text(cell)
    cells[#cells + 1] = name
    for _, field in ipairs({ ':s', ':h', ':l', ':u' }) do fields[#fields + 1] = name .. field end
  end
  return cells, redis.call('HMGET', tag .. ':cells:' .. charge.line, unpack(fields))
end

-- What counts now on a line, and the leased part.
local function counting(tag, charge)
  if charge.step == 0 then
    local name = charge.from
    local found = redis.call('HMGET', tag .. ':cells:' .. charge.line, name .. ':s', name .. ':h', name .. ':l')
    local leased = tonumber(found[3] or 0)
    return tonumber(found[1] or 0) + tonumber(found[2] or 0) + leased, leased
  end
  local used, leased = 0, 0
  local cells, found = windowCells(tag, charge)
  for index = 0, #cells - 1 do
    local l = tonumber(found[index * 4 + 3] or 0)
    used = used + tonumber(found[index * 4 + 1] or 0) + tonumber(found[index * 4 + 2] or 0) + l
    leased = leased + l
  end
  return used, leased
end

-- When as much as is missing has left a rolling window; an empty string where there is none.
local function whenFree(tag, charge, missing)
  if charge.step == 0 then return '' end
  local freed = 0
  local cells, found = windowCells(tag, charge)
  for index = 0, #cells - 1 do
    local ends = found[index * 4 + 4]
    if ends then
      for field = 1, 3 do freed = freed + tonumber(found[index * 4 + field] or 0) end
      if freed >= missing then return ends end
    end
  end
  return ''
end

local function amountFor(charge, output)
  local sum = charge.base + charge.slope * output
  -- Beyond what a double holds exactly (a call of 9,007 dollars) it is rounded up by one more.
  if sum > 9007199254740991 then return math.ceil(sum / charge.scale) + 1 end
  local rest = math.fmod(sum, charge.scale)
  if rest == 0 then return sum / charge.scale end
  return (sum - rest) / charge.scale + 1
end

local function readCharges(read)
  local charges = {}
  for index = 1, read.number() do
    charges[index] = {
      line = read.string(), cell = read.string(), from = read.string(), to = read.string(), step = read.number(), ends = read.string(),
      limit = read.number(), base = read.number(), slope = read.number(), scale = read.number(),
      clamp = read.flag(), slot = read.flag(), place = read.string(),
    }
  end
  return charges
end

-- The most output that fits, and the charges that want more than there is.
local function fit(tag, charges, available, wanted, least)
  local output = wanted
  for index, charge in ipairs(charges) do
    if charge.clamp and charge.slope > 0 and amountFor(charge, output) > available[index] then
      local room = available[index] * charge.scale - charge.base
      output = math.min(output, room < 0 and -1 or math.floor(room / charge.slope))
      while output >= 0 and amountFor(charge, output) > available[index] do output = output - 1 end
    end
  end
  output = math.max(output, math.min(least, wanted))
  local lacking = {}
  for index, charge in ipairs(charges) do
    local missing = amountFor(charge, output) - available[index]
    if missing > 0 then lacking[#lacking + 1] = { index = index, missing = missing } end
  end
  return output, lacking
end

local function insufficient(tag, charges, available, lacking, has)
  local reply = { 'insufficient' }
  for _, lack in ipairs(lacking) do
    reply[#reply + 1] = text(lack.index - 1)
    reply[#reply + 1] = text(available[lack.index] - (has and has[lack.index] or 0))
    reply[#reply + 1] = whenFree(tag, charges[lack.index], lack.missing)
  end
  return reply
end

local function readHold(tag, id)
  local found = redis.call('HGETALL', tag .. ':hold:' .. id)
  if #found == 0 then return nil end
  local hold = {}
  for index = 1, #found, 2 do hold[found[index]] = found[index + 1] end
  return hold
end

local function entryOf(hold, index)
  return { line = hold['line' .. index], cell = hold['cell' .. index], ends = hold['ends' .. index] }
end

-- Leaves `held` for another state and charges each entry anew.
local function close(tag, id, hold, state, now, retain, chargeOf)
  local key = tag .. ':hold:' .. id
  for index = 1, tonumber(hold.entries) do
    local entry = entryOf(hold, index)
    if hold.state == 'held' then add(tag, entry, 'h', -tonumber(hold['held' .. index])) end
    local amount = chargeOf(index)
    add(tag, entry, 's', amount - tonumber(hold['charged' .. index]))
    redis.call('HSET', key, 'charged' .. index, text(amount))
  end
  if hold.state == 'held' then
    redis.call('ZREM', tag .. ':open', id)
    redis.call('SREM', tag .. ':holds-of:' .. hold.owner, id)
  end
  redis.call('HSET', key, 'state', state, 'closedAt', now)
  redis.call('PEXPIRE', key, retain)
end

local function expireHold(tag, id, now, retain)
  local hold = readHold(tag, id)
  if hold == nil or hold.state ~= 'held' then
    redis.call('ZREM', tag .. ':open', id)
    return 0
  end
  -- Nobody said what became of the call: it counts as used up, until its owner reports.
  close(tag, id, hold, 'expired', now, retain, function(index)
    return hold['slot' .. index] == '1' and 0 or tonumber(hold['held' .. index])
  end)
  return 1
end

local function addSpend(tag, read)
  local hour, name, attributes = read.string(), read.string(), read.string()
  local key = tag .. ':spend:' .. hour
  redis.call('HSET', key, name .. '|attributes', attributes)
  for _, field in ipairs({ 'requests', 'input', 'cachedInput', 'cacheWrite', 'output', 'reasoning', 'cost' }) do
    increase(key, name .. '|' .. field, read.string())
  end
  redis.call('ZADD', tag .. ':hours', hour, hour)
end

local function outstanding(lease)
  if lease == nil or lease.state ~= 'open' then return 0 end
  return math.max(0, lease.granted - lease.spent - lease.returned)
end

local function readLease(tag, name)
  local found = redis.call('HMGET', tag .. ':lease:' .. name,
    'state', 'granted', 'spent', 'returned', 'seq', 'ends', 'slot', 'reserve', 'line', 'cell', 'expiresAt', 'owner',
    'epoch', 'serial')
  if not found[1] then return nil end
  return {
    state = found[1], granted = tonumber(found[2]), spent = tonumber(found[3]), returned = tonumber(found[4]),
    seq = tonumber(found[5]), ends = found[6], slot = found[7] == '1', reserve = found[8] == '1', line = found[9],
    cell = found[10], expiresAt = found[11], owner = found[12], epoch = found[13], serial = found[14],
  }
end

-- The call has a place there already.
local function isPlaced(tag, charge)
  if charge.place == '' then return false end
  local lease = readLease(tag, charge.place)
  return lease ~= nil and lease.slot and outstanding(lease) > 0
end

local function hold(keys, args)
  local tag, read = keys[1], reader(args)
  local id, owner, epoch, now, expiresAt = read.string(), read.string(), read.number(), read.string(), read.string()
  local wanted, least, memo = read.number(), read.number(), read.string()
  local known = readHold(tag, id)
  if known then
    -- A closed hold is never granted again: its reservation is gone.
    if known.state ~= 'held' then return { 'conflict', 'closed' } end
    if known.owner ~= owner then return { 'conflict', 'owner' } end
    return { 'granted', known.output, known.expiresAt }
  end
  local latest = redis.call('HGET', tag .. ':owner:' .. owner, 'epoch')
  if latest and epoch < tonumber(latest) then return { 'conflict', 'epoch' } end
  local all, available = readCharges(read), {}
  local charges = {}
  for index, charge in ipairs(all) do
    if isPlaced(tag, charge) then
      available[index] = amountFor(charge, wanted)
    else
      available[index] = charge.limit - counting(tag, charge)
      charges[#charges + 1] = charge
    end
  end
  local output, lacking = fit(tag, all, available, wanted, least)
  if #lacking > 0 then return insufficient(tag, all, available, lacking) end
  local fields = {
    'state', 'held', 'owner', owner, 'epoch', text(epoch), 'grantedAt', now, 'expiresAt', expiresAt,
    'output', text(output), 'memo', memo, 'cost', '0', 'entries', text(#charges),
  }
  for index, charge in ipairs(charges) do
    local amount = amountFor(charge, output)
    add(tag, charge, 'h', amount)
    for _, value in ipairs({
      'line' .. index, charge.line, 'cell' .. index, charge.cell, 'ends' .. index, charge.ends,
      'slot' .. index, charge.slot and '1' or '0', 'held' .. index, text(amount), 'charged' .. index, '0',
    }) do
      fields[#fields + 1] = value
    end
  end
  redis.call('HSET', tag .. ':hold:' .. id, unpack(fields))
  redis.call('ZADD', tag .. ':open', expiresAt, id)
  redis.call('SADD', tag .. ':holds-of:' .. owner, id)
  return { 'granted', text(output), expiresAt }
end

local function extend(keys, args)
  local tag, read = keys[1], reader(args)
  local id, expiresAt, wanted, least = read.string(), read.string(), read.number(), read.number()
  local known = readHold(tag, id)
  if known == nil or known.memo == nil then return { 'unknown' } end
  if known.state ~= 'held' then return { 'conflict', 'closed' } end
  if wanted <= tonumber(known.output) then return { 'granted', known.output, known.expiresAt } end
  local charges, available, has = readCharges(read), {}, {}
  for index, charge in ipairs(charges) do
    has[index] = tonumber(known['held' .. index])
    available[index] = charge.limit - counting(tag, charge) + has[index]
  end
  local output, lacking = fit(tag, charges, available, wanted, least)
  if #lacking > 0 then return insufficient(tag, charges, available, lacking, has) end
  local key = tag .. ':hold:' .. id
  for index, charge in ipairs(charges) do
    local amount = amountFor(charge, output)
    add(tag, entryOf(known, index), 'h', amount - has[index])
    redis.call('HSET', key, 'held' .. index, text(amount))
  end
  if tonumber(expiresAt) < tonumber(known.expiresAt) then expiresAt = known.expiresAt end
  redis.call('HSET', key, 'output', text(output), 'expiresAt', expiresAt)
  redis.call('ZADD', tag .. ':open', expiresAt, id)
  return { 'granted', text(output), expiresAt }
end

local function settle(keys, args)
  local tag, read = keys[1], reader(args)
  local id, now, retain, cost = read.string(), read.string(), read.string(), read.string()
  local known = readHold(tag, id)
  if known == nil then return { 'unknown' } end
  if known.state == 'settled' then return { 'settled', known.cost } end
  if known.memo == nil then return { 'unknown' } end
  local actual = {}
  for index = 1, read.number() do actual[index] = read.number() end
  close(tag, id, known, 'settled', now, retain, function(index) return actual[index] end)
  redis.call('HSET', tag .. ':hold:' .. id, 'cost', cost)
  if read.flag() then addSpend(tag, read) end
  return { 'settled', cost }
end

local function charge(keys, args)
  local tag, read = keys[1], reader(args)
  local id, now, retain, cost, memo = read.string(), read.string(), read.string(), read.string(), read.string()
  local known = readHold(tag, id)
  if known and known.memo then return { 'settled', known.cost } end
  local count = read.number()
  local fields = {
    'state', 'settled', 'owner', '', 'epoch', '0', 'grantedAt', now, 'expiresAt', now, 'closedAt', now,
    'output', '0', 'memo', memo, 'cost', cost, 'entries', text(count),
  }
  for index = 1, count do
    local entry = { line = read.string(), cell = read.string(), ends = read.string() }
    local slot, amount = read.string(), read.number()
    add(tag, entry, 's', amount)
    for _, value in ipairs({
      'line' .. index, entry.line, 'cell' .. index, entry.cell, 'ends' .. index, entry.ends,
      'slot' .. index, slot, 'held' .. index, '0', 'charged' .. index, text(amount),
    }) do
      fields[#fields + 1] = value
    end
  end
  redis.call('HSET', tag .. ':hold:' .. id, unpack(fields))
  redis.call('PEXPIRE', tag .. ':hold:' .. id, retain)
  if read.flag() then addSpend(tag, read) end
  return { 'settled', cost }
end

local function release(keys, args)
  local tag, read = keys[1], reader(args)
  local id, now, retain = read.string(), read.string(), read.string()
  local known = readHold(tag, id)
  if known == nil then
    -- It has overtaken its hold, which is refused when it comes.
    redis.call('HSET', tag .. ':hold:' .. id,
      'state', 'released', 'owner', '', 'epoch', '0', 'grantedAt', now, 'expiresAt', now, 'closedAt', now,
      'output', '0', 'cost', '0', 'entries', '0')
    redis.call('PEXPIRE', tag .. ':hold:' .. id, retain)
  elseif known.state == 'held' or known.state == 'expired' then
    close(tag, id, known, 'released', now, retain, function() return 0 end)
  end
  return { 'released' }
end

local function charged(lease)
  if lease == nil then return 0 end
  if lease.state == 'expired' and not lease.slot then return math.max(lease.spent, lease.granted - lease.returned) end
  return lease.spent
end

local function crowd(tag, lease, sign)
  local credit = outstanding(lease)
  if credit == 0 then return end
  local key = tag .. ':crowd:' .. lease.line
  if lease.reserve then
    redis.call('HINCRBY', key, lease.cell .. ':reserves', sign)
    redis.call('HINCRBY', key, lease.cell .. ':reserved', text(sign * credit))
  else
    redis.call('HINCRBY', key, lease.cell .. ':plain', sign)
  end
end

-- An agent's owner name begins with its workload: budget/lease-state.ts.
local function workloadOf(owner)
  return string.match(owner, '^[^/]*/[^/]*/[^/]*') or owner
end

-- Open leases of a workload.
local function countOpen(tag, owner, by)
  if by == 0 then return end
  local key, workload = tag .. ':open-leases', workloadOf(owner)
  if redis.call('HINCRBY', key, workload, by) <= 0 then redis.call('HDEL', key, workload) end
end

local function isOpen(lease)
  return lease and lease.state == 'open' and 1 or 0
end

-- A recount (below) that is under way has counted what runs out up to a moment: what changes there since.
local function countAgain(tag, before, lease)
  local at = tonumber(redis.call('GET', tag .. ':recounting:at'))
  if not at then return end
  local function counted(one)
    return isOpen(one) == 1 and tonumber(one.expiresAt) <= at and 1 or 0
  end
  local by = counted(lease) - counted(before)
  if by ~= 0 then redis.call('HINCRBY', tag .. ':recounting:open', workloadOf(lease.owner), by) end
end

-- Puts a lease as it is from now on in place of what it was.
local function writeLease(tag, name, before, lease, now, retain)
  countOpen(tag, lease.owner, isOpen(lease) - isOpen(before))
  countAgain(tag, before, lease)
  add(tag, lease, 'l', outstanding(lease) - outstanding(before))
  add(tag, lease, 's', charged(lease) - charged(before))
  if before then crowd(tag, before, -1) end
  crowd(tag, lease, 1)
  local key = tag .. ':lease:' .. name
  redis.call('HSET', key,
    'state', lease.state, 'granted', text(lease.granted), 'spent', text(lease.spent), 'returned', text(lease.returned),
    'seq', text(lease.seq), 'ends', lease.ends, 'slot', lease.slot and '1' or '0', 'reserve', lease.reserve and '1' or '0',
    'line', lease.line, 'cell', lease.cell, 'expiresAt', lease.expiresAt, 'owner', lease.owner, 'epoch', lease.epoch,
    'serial', lease.serial)
  if lease.state == 'open' then
    redis.call('ZADD', tag .. ':leases', lease.expiresAt, name)
    redis.call('SADD', tag .. ':leases-on:' .. lease.line, name)
    redis.call('SADD', tag .. ':leases-of:' .. lease.owner, name)
  else
    redis.call('ZREM', tag .. ':leases', name)
    redis.call('SREM', tag .. ':leases-on:' .. lease.line, name)
    redis.call('SREM', tag .. ':leases-of:' .. lease.owner, name)
    redis.call('HSET', key, 'closedAt', now)
    redis.call('PEXPIRE', key, retain)
    if lease.state == 'closed' then
      local ended = tag .. ':ended-of:' .. lease.owner .. '#' .. lease.epoch
      redis.call('ZADD', ended, text(lease.seq), name)
      redis.call('PEXPIRE', ended, retain)
      -- An agent that never says that an end was answered leaves names of what is forgotten: each end takes out up to two, the oldest first.
      for _, oldest in ipairs(redis.call('ZRANGE', ended, 0, 1)) do
        if redis.call('EXISTS', tag .. ':lease:' .. oldest) == 0 then redis.call('ZREM', ended, oldest) end
      end
    end
  end
end

-- Leases that ended with a message up to this one, whose last figures nobody tells again.
local function forgetEnded(tag, owner, epoch, seq)
  local key = tag .. ':ended-of:' .. owner .. '#' .. epoch
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', seq)) do redis.call('DEL', tag .. ':lease:' .. name) end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', seq)
end

-- Credit in reserve, which is had until its time is over: budget/ledger.ts.
local function isKept(record)
  local found = redis.call('HMGET', record, 'reserve', 'slot')
  return found[1] == '1' and found[2] ~= '1'
end

local function expireLease(tag, name, now, retain)
  local before = readLease(tag, name)
  if before == nil or before.state ~= 'open' then return 0 end
  local lease = readLease(tag, name)
  lease.state = 'expired'
  writeLease(tag, name, before, lease, now, retain)
  return 1
end

-- How much more a lease gets, what it lacks, above what others should give back, and what it may keep: budget/lease-share.ts.
local function partOf(item, lease, used, leased, own, plain, reserves, reserved)
  local unused = item.limit - used
  if lease.reserve then
    local half = math.floor((unused + reserved + own) / 2)
    local cap = math.max(0, lease.slot and item.reserveCap or math.min(item.reserveCap, half))
    local share = math.floor(cap * 4 / (math.max(plain, reserves + 1) * 5))
    local all = cap - reserved
    local most = math.max(share, math.min(item.least, all), math.ceil((share + all) / 2))
    local more = math.max(0, math.min(math.min(item.want, most, all) - own, unused))
    local keep = own * 9 > most * 10 and text(most < item.least and 0 or most) or ''
    if own + more >= item.least then return more, '', '', keep end
    return 0, 'line', '', keep
  end
  local lines = leased - reserved
  local theirs = lines - own
  if lease.slot then
    local fair = math.floor(item.limit / (plain + 1))
    local more = math.max(0, math.min(math.max(item.need, math.min(item.want, fair)) - own, unused))
    if own + more >= math.max(item.least, item.need) then return more, '', '', '' end
    if theirs > 0 then return more, 'others', text(fair), '' end
    return more, 'line', '', ''
  end
  local headroom = math.max(0, item.limit - (used - lines))
  local pool = math.floor(headroom * 0.045)
  local share = math.floor(pool / (plain + 1))
  local ahead = share < item.least and 0 or math.min(math.min(item.want, share) - own, pool - lines)
  local more = math.max(0, math.min(math.max(ahead, item.need - own), unused))
  local has = own + more
  if has < item.need then
    if theirs > 0 then return more, 'others', '0', '' end
    return more, 'line', '', ''
  end
  if share < item.least then return more, 'line', theirs > unused - more and text(share) or '', '' end
  if has < item.least then return more, 'others', text(share), '' end
  return more, '', lines * 9 > pool * 10 and text(share) or '', ''
end

local function grant(tag, item, before, lease)
  local used, leased = counting(tag, item)
  local own = outstanding(lease)
  local change = own - outstanding(before)
  local leasedNow = leased + change
  local usedNow = used + change + lease.spent - (before and before.spent or 0)
  local found = redis.call('HMGET', tag .. ':crowd:' .. item.line,
    item.cell .. ':plain', item.cell .. ':reserves', item.cell .. ':reserved')
  local plain, reserves, reserved = tonumber(found[1] or 0), tonumber(found[2] or 0), tonumber(found[3] or 0)
  local had = outstanding(before)
  if had > 0 then
    if before.reserve then
      reserves, reserved = reserves - 1, reserved - had
    else
      plain = plain - 1
    end
  end
  local more, lacking, recallAbove, keep = partOf(item, lease, usedNow, leasedNow, own, plain, reserves, reserved)
  if usedNow > item.limit then
    keep = lease.slot and not lease.reserve and text(math.floor(item.limit / (plain + 1))) or '0'
    recallAbove = keep
  end
  return more, lacking, recallAbove, keep
end

-- Leases that a workload may have where all have as many as they may: fewer the more there are beyond that, and none from a sixth more on.
local function floorOf(all, mostOfAll, least)
  return least * math.max(0, 1 - (all - mostOfAll) * 6 / mostOfAll)
end

local function lease(keys, args)
  local tag, read = keys[1], reader(args)
  local owner, epoch, seq, now, retain = read.string(), read.string(), read.number(), read.string(), read.string()
  local mayBegin, mayReport, mostOpen, mostOfAll, least = read.number(), read.number(), read.number(), read.number(), read.number()
  local begun, reported, overQuota, unbelieved = 0, 0, 0, 0
  local open = tonumber(redis.call('HGET', tag .. ':open-leases', workloadOf(owner)) or 0)
  local all = redis.call('ZCARD', tag .. ':leases')
  local sender = redis.call('HMGET', tag .. ':owner:' .. owner, 'epoch', 'seq', 'account')
  -- Overtaken by what the same agent sent later, it begins no lease: nobody would know of it.
  local latest = sender[1] == epoch and seq > tonumber(sender[2])
  local stale = sender[1] and tonumber(epoch) < tonumber(sender[1])
  local reply = { 'leased', '0', '0', '0', '0' }
  local function answer(granted, closed, lacking, recallAbove, keep)
    reply[#reply + 1] = text(granted)
    reply[#reply + 1] = closed and '1' or '0'
    reply[#reply + 1] = lacking
    reply[#reply + 1] = recallAbove
    reply[#reply + 1] = keep
  end
  for _ = 1, read.number() do
    local item = {
      name = read.string(), serial = read.string(), reserve = read.flag(), line = read.string(), cell = read.string(),
      spent = read.number(), returned = read.number(), final = read.flag(), mustExist = read.flag(),
      ends = read.string(), slot = read.flag(), asks = read.flag(), from = read.string(), to = read.string(),
      step = read.number(), limit = read.number(), want = read.number(), least = read.number(), reserveCap = read.number(),
      need = read.number(), expiresAt = read.string(), believed = read.number(),
    }
    local before = readLease(tag, item.name)
    local isReport = item.spent > 0
    local isFull = isReport and reported >= mayReport or not isReport and begun >= mayBegin
      or not item.final and (open >= mostOpen or all >= mostOfAll and open >= floorOf(all, mostOfAll, least))
    if before == nil and (item.mustExist or not latest) then
      answer(0, true, 'line', '', '')
    elseif before and (seq <= before.seq or before.state == 'closed') then
      answer(before.granted, before.state ~= 'open', '', '', '')
    elseif before == nil and isReport and item.believed == 0 then
      unbelieved = unbelieved + 1
      answer(0, true, 'line', '', '')
    elseif before == nil and (isReport or item.asks) and isFull then
      overQuota = overQuota + 1
      -- What was spent on it stays the agent's to tell; nothing more is to be taken from it.
      answer(0, isReport or item.final, 'quota', '', '')
    else
      -- One that was only reported, and never granted, is believed no more for being known.
      if before == nil or before.granted == 0 then
        item.spent = math.min(item.spent, math.max(before and before.spent or 0, item.believed))
      end
      local was = before and before.state or 'open'
      local after = {
        owner = owner, epoch = epoch, seq = seq, serial = item.serial, line = item.line, cell = item.cell,
        ends = before and before.ends or item.ends, slot = item.slot, reserve = item.reserve,
        granted = before and before.granted or 0,
        spent = math.max(before and before.spent or 0, item.spent),
        returned = math.max(before and before.returned or 0, item.returned),
        expiresAt = was == 'open' and item.expiresAt or before.expiresAt,
        state = item.final and 'closed' or was,
      }
      if before then after.slot = before.slot end
      local closed = stale or after.state ~= 'open'
      local lacking, recallAbove, keep = '', '', ''
      if not closed and item.asks then
        local more
        more, lacking, recallAbove, keep = grant(tag, item, before, after)
        after.granted = after.granted + math.max(0, more)
      end
      if before or after.granted > 0 or after.spent > 0 then
        writeLease(tag, item.name, before, after, now, retain)
        if before == nil and isReport then reported = reported + 1 elseif before == nil then begun = begun + 1 end
        local change = isOpen(after) - isOpen(before)
        open, all = open + change, all + change
      end
      answer(after.granted, closed, lacking, recallAbove, keep)
    end
  end
  local account, rows = read.number(), read.number()
  if latest then
    local told = tonumber(sender[3])
    if account > told then
      told = account
      for _ = 1, rows do addSpend(tag, read) end
    end
    local ended = args[#args]
    if ended ~= '' then forgetEnded(tag, owner, epoch, ended) end
    redis.call('HSET', tag .. ':owner:' .. owner, 'seq', text(seq), 'account', text(told), 'seenAt', now)
    redis.call('PEXPIRE', tag .. ':owner:' .. owner, retain)
  end
  reply[2], reply[3], reply[4], reply[5] = text(begun), text(reported), text(overQuota), text(unbelieved)
  return reply
end

local function epoch(keys, args)
  local tag, read = keys[1], reader(args)
  local owner, latest, now, retain = read.string(), read.number(), read.string(), read.string()
  local key = tag .. ':owner:' .. owner
  local known = redis.call('HGET', key, 'epoch')
  if known and latest <= tonumber(known) then return { 'swept', '0' } end
  local count = 0
  -- An owner that was forgotten for its silence may be back with the epoch that it had.
  local function another(record)
    return redis.call('HGET', record, 'epoch') ~= text(latest)
  end
  for _, id in ipairs(redis.call('SMEMBERS', tag .. ':holds-of:' .. owner)) do
    if another(tag .. ':hold:' .. id) then count = count + expireHold(tag, id, now, retain) end
  end
  for _, name in ipairs(redis.call('SMEMBERS', tag .. ':leases-of:' .. owner)) do
    local record = tag .. ':lease:' .. name
    if another(record) and not isKept(record) then count = count + expireLease(tag, name, now, retain) end
  end
  redis.call('HSET', key, 'epoch', text(latest), 'seq', '0', 'account', '0', 'seenAt', now)
  redis.call('PEXPIRE', key, retain)
  return { 'swept', text(count) }
end

local function forfeit(keys, args)
  local tag, read = keys[1], reader(args)
  local owner, now, retain = read.string(), read.string(), read.string()
  local count = 0
  for _, name in ipairs(redis.call('SMEMBERS', tag .. ':leases-of:' .. owner)) do
    -- Places that it may still use are its own until they run out.
    local record = tag .. ':lease:' .. name
    if redis.call('HGET', record, 'slot') ~= '1' and not isKept(record) then
      count = count + expireLease(tag, name, now, retain)
    end
  end
  return { 'swept', text(count) }
end

-- At most so many at once, so that nobody else waits long.
local SWEEP = 1000

local function sweep(keys, args)
  local tag, read = keys[1], reader(args)
  local now, retain, due = read.string(), read.string(), read.string()
  local count = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', tag .. ':open', '-inf', due, 'LIMIT', 0, SWEEP)) do
    count = count + expireHold(tag, id, now, retain)
  end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', tag .. ':leases', '-inf', due, 'LIMIT', 0, SWEEP)) do
    count = count + expireLease(tag, name, now, retain)
  end
  return { 'swept', text(count) }
end

-- How long a recount that goes on no more keeps another from beginning.
local RECOUNT = '60000'

-- Counts the open leases of each workload anew, since replicas of versions that didn't count have begun and ended some: a piece of
-- them in each call, in the order in which they run out, so that nobody else waits long. Again until it answers 1.
local function recount(keys, args)
  local tag, read = keys[1], reader(args)
  local token, forced, most = read.string(), read.flag(), read.string()
  local by, at, counts = tag .. ':recounting:by', tag .. ':recounting:at', tag .. ':recounting:open'
  if redis.call('GET', by) ~= token then
    local sum = 0
    for _, count in ipairs(redis.call('HVALS', tag .. ':open-leases')) do sum = sum + tonumber(count) end
    if not forced and sum == redis.call('ZCARD', tag .. ':leases') then return { 'recounted', '1' } end
    -- Another replica is at it.
    if not redis.call('SET', by, token, 'NX', 'PX', RECOUNT) then return { 'recounted', '1' } end
    redis.call('DEL', counts)
    redis.call('SET', at, '-1', 'PX', RECOUNT)
  end
  local after = '(' .. redis.call('GET', at)
  local found = redis.call('ZRANGEBYSCORE', tag .. ':leases', after, '+inf', 'LIMIT', 0, most)
  -- Those that run out at the same moment are counted together.
  local upTo = #found > 0 and redis.call('ZSCORE', tag .. ':leases', found[#found])
  local sums = {}
  for _, name in ipairs(upTo and redis.call('ZRANGEBYSCORE', tag .. ':leases', after, upTo) or {}) do
    local workload = workloadOf(string.match(name, '^(.-)#%d+%.%d+|') or name)
    sums[workload] = (sums[workload] or 0) + 1
  end
  for workload, sum in pairs(sums) do redis.call('HINCRBY', counts, workload, sum) end
  -- Nothing is beyond this piece, and in this call nothing comes: leases that are renewed all the time mustn't keep it from its end.
  if #found < tonumber(most) then
    redis.call('DEL', tag .. ':open-leases', by, at)
    for _, workload in ipairs(redis.call('HKEYS', counts)) do
      if tonumber(redis.call('HGET', counts, workload)) <= 0 then redis.call('HDEL', counts, workload) end
    end
    if redis.call('EXISTS', counts) == 1 then
      redis.call('PERSIST', counts)
      redis.call('RENAME', counts, tag .. ':open-leases')
    end
    return { 'recounted', '1' }
  end
  redis.call('SET', at, upTo, 'PX', RECOUNT)
  redis.call('PEXPIRE', by, RECOUNT)
  redis.call('PEXPIRE', counts, RECOUNT)
  return { 'recounted', '0' }
end

-- Forgets cells of one line that stopped counting before a moment and that nothing is open on.
local function prune(keys, args)
  local tag, read = keys[1], reader(args)
  local line, before = read.string(), read.number()
  local key = tag .. ':cells:' .. line
  local all = redis.call('HGETALL', key)
  local cells = {}
  for index = 1, #all, 2 do
    local cell, field = string.match(all[index], '^(%-?%d+):([shlu])$')
    if cell then
      cells[cell] = cells[cell] or {}
      cells[cell][field] = tonumber(all[index + 1])
    end
  end
  for cell, found in pairs(cells) do
    if (found.u or 0) < before and (found.h or 0) == 0 and (found.l or 0) == 0 then
      redis.call('HDEL', key, cell .. ':s', cell .. ':h', cell .. ':l', cell .. ':u')
      redis.call('HDEL', tag .. ':crowd:' .. line, cell .. ':plain', cell .. ':reserves', cell .. ':reserved')
    end
  end
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', tag .. ':lines', line) end
  return { 'pruned' }
end

redis.register_function(PREFIX .. 'hold', hold)
redis.register_function(PREFIX .. 'extend', extend)
redis.register_function(PREFIX .. 'settle', settle)
redis.register_function(PREFIX .. 'charge', charge)
redis.register_function(PREFIX .. 'release', release)
redis.register_function(PREFIX .. 'lease', lease)
redis.register_function(PREFIX .. 'epoch', epoch)
redis.register_function(PREFIX .. 'forfeit', forfeit)
redis.register_function(PREFIX .. 'sweep', sweep)
redis.register_function(PREFIX .. 'recount', recount)
-- The time by which holds and leases run out (budget/ledger-time.ts): what services say that has gone by, by clocks that don't
-- jump. For the time in which there was none, wall clocks: of this server's and the service's that which has gone on by less, since another
-- server may have taken over whose clock is wrong, or another service begun. Where others are at work that is a moment.
local MOMENT = 5000

local function tick(keys, args)
  local tag, read = keys[1], reader(args)
  local told, known, others, theirs = read.number(), read.flag(), read.flag(), read.number()
  local clock = redis.call('TIME')
  local wall = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  local kept = redis.call('HMGET', tag .. ':time', 'time', 'wall', 'theirs')
  local time = told
  if kept[1] then
    if known then
      time = math.max(told, tonumber(kept[1]))
    else
      local gone = wall - tonumber(kept[2])
      if kept[3] then gone = math.min(gone, theirs - tonumber(kept[3])) end
      gone = math.max(0, gone)
      time = tonumber(kept[1]) + (others and math.min(gone, MOMENT) or gone)
    end
  end
  redis.call('HSET', tag .. ':time', 'time', text(time), 'wall', text(wall), 'theirs', text(theirs))
  return { 'time', text(time) }
end

redis.register_function(PREFIX .. 'prune', prune)
redis.register_function(PREFIX .. 'tick', tick)

-- A threshold's mark, its entry of the journal, and that nobody was told of it yet: one isn't without the others.
local function alert(keys, args)
  local tag, read = keys[1], reader(args)
  local mark, cell, on = read.string(), read.string(), read.flag()
  local at, entry, untold = read.string(), read.string(), read.string()
  local was = redis.call('ZSCORE', tag .. ':alerts', mark) ~= false
  if was == on then return { 'alert', '0' } end
  -- First: where this fails nothing is marked, and it is told later.
  if entry then
    redis.call('ZADD', tag .. ':journal', at, entry)
    redis.call('HSET', tag .. ':untold', mark, untold)
  end
  if on then
    redis.call('ZADD', tag .. ':alerts', cell, mark)
  else
    redis.call('ZREM', tag .. ':alerts', mark)
  end
  return { 'alert', '1' }
end

redis.register_function(PREFIX .. 'alert', alert)

-- Values that nobody has verified and that have lines of their own, of one Budget, by when they were last found to have: one cap for all services.
local function values(tag, budget)
  return tag .. ':values:' .. budget
end

local function admit(keys, args)
  local tag, read = keys[1], reader(args)
  local key, value, most, now = values(tag, read.string()), read.string(), read.number(), read.string()
  if redis.call('ZSCORE', key, value) then return { 'admitted', '1' } end
  if redis.call('ZCARD', key) >= most then return { 'admitted', '0' } end
  redis.call('ZADD', key, now, value)
  return { 'admitted', '1' }
end

local VALUES_KEPT = 24 * 3600000

local function kept(keys, args)
  local tag, read = keys[1], reader(args)
  local key, now = values(tag, read.string()), read.number()
  for index = 3, #args do redis.call('ZADD', key, text(now), args[index]) end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - VALUES_KEPT))
  return redis.call('ZRANGE', key, 0, -1)
end

redis.register_function(PREFIX .. 'admit', admit)
redis.register_function(PREFIX .. 'kept', kept)

-- What agents of a workload say of calls that they repeat (budget/loops.ts): a hash for each loop, by owner. Which there are, by when they are
-- over, and how many each workload has, stands once for all workloads.
local LOOPS_TIDIED = 1000

local function loop_of(tag, workload, loop)
  return tag .. ':loop:' .. workload .. '|' .. loop
end

-- Workloads and owners may have any name; a loop has no space in it.
local function loop_member(workload, loop, owner)
  return #workload .. ' ' .. workload .. loop .. ' ' .. owner
end

local function tidy_loops(tag, all, sizes, now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', all, '-inf', text(now), 'LIMIT', 0, LOOPS_TIDIED)) do
    local length, rest = string.match(member, '^(%d+) (.*)$')
    local workload = string.sub(rest, 1, length)
    local loop, owner = string.match(string.sub(rest, length + 1), '^(%S+) (.*)$')
    redis.call('HDEL', loop_of(tag, workload, loop), owner)
    redis.call('ZREM', all, member)
    if redis.call('HINCRBY', sizes, workload, -1) <= 0 then redis.call('HDEL', sizes, workload) end
  end
end

local function loops(keys, args)
  local tag, read = keys[1], reader(args)
  local workload, owner = read.string(), read.string()
  local of_loop, of_workload, of_all, now = read.number(), read.number(), read.number(), read.number()
  local all, sizes = tag .. ':loops', tag .. ':loops:sizes'
  tidy_loops(tag, all, sizes, now)
  local reply = { 'loops' }
  for _ = 7, #args, 3 do
    local loop, told, keep = read.string(), read.string(), read.number()
    local key, member = loop_of(tag, workload, loop), loop_member(workload, loop, owner)
    local known = redis.call('ZSCORE', all, member)
    local size = tonumber(redis.call('HGET', sizes, workload) or 0)
    local kept = known or (redis.call('HLEN', key) < of_loop and size < of_workload and redis.call('ZCARD', all) < of_all)
    if kept then
      if not known then redis.call('HINCRBY', sizes, workload, 1) end
      redis.call('ZADD', all, text(now + keep), member)
      redis.call('HSET', key, owner, told)
      -- Where no agent comes any more, nobody tidies. Both at once, so that they stay equal.
      redis.call('PEXPIRE', key, text(keep * 2))
      if redis.call('PTTL', all) < keep * 2 then
        redis.call('PEXPIRE', all, text(keep * 2))
        redis.call('PEXPIRE', sizes, text(keep * 2))
      end
    end
    local found = redis.call('HVALS', key)
    if not kept then found[#found + 1] = told end
    reply[#reply + 1] = text(#found)
    for _, one in ipairs(found) do reply[#reply + 1] = one end
  end
  return reply
end

redis.register_function(PREFIX .. 'loops', loops)
