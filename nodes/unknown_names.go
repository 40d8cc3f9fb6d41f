package nodes

// unknownNames keeps the attempts of names without an account, up to a limit;
// then the one that was tried first goes.
type unknownNames struct {
	limit  int
	index  map[[16]byte]*attempts
	order  [][16]byte // a ring once it has limit places
	oldest int
}

func (u *unknownNames) of(hash [16]byte) *attempts {
	if t := u.index[hash]; t != nil {
		return t
	}
	if len(u.order) < u.limit {
		u.order = append(u.order, hash)
	} else {
		delete(u.index, u.order[u.oldest])
		u.order[u.oldest] = hash
		u.oldest = (u.oldest + 1) % u.limit
	}
	t := &attempts{}
	u.index[hash] = t
	return t
}
